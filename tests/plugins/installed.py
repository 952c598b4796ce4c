"""A package as pip leaves it: one module, and the entry points that it offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["offer"]


def offer(site: Path, package: str, text: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Write a module `package` and its metadata into a folder that Python finds packages in.

    `groups`: entry point group -> name -> attribute of the module. A module of this name that is
    loaded already stays what it is, so take another name for another text.
    """
    (site / f"{package}.py").write_text(text)
    folder = site / f"{package}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {package}:{at}" for name, at in entries.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines))
