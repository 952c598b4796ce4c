"""Named configuration: search spaces, evaluators and clusters as YAML files.

A name is looked up as a path, then under `--catalog DIR`, in the working directory's folder of that
kind, in the catalog that comes with evomerge, and among packages that offer one by entry point.
`NAME` is the file `NAME.yaml`, or `NAME/KIND.yaml` where an entry needs data of its own beside it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

from evomerge.errors import ConfigError, did_you_mean
from evomerge.reading.files import expanded, is_file, resolved

__all__ = ["ENTRY_POINTS", "KINDS", "Kind", "entries", "find"]

Kind = Literal["search_spaces", "evaluators", "cluster"]
KINDS: tuple[Kind, ...] = ("search_spaces", "evaluators", "cluster")

ENTRY_POINTS = "evomerge.catalogs"
"""A package named here holds folders of the same three names."""

_MAIN = {"search_spaces": "space.yaml", "evaluators": "evaluator.yaml", "cluster": "cluster.yaml"}


def find(kind: Kind, name: str, *, folder: Path, catalog: Path | None = None) -> Path:
    """The file of an entry; `folder` is what a relative path is relative to.

    Raises:
        ConfigError: there is no such entry; the message has the nearest name.
    """
    if name.endswith((".yaml", ".yml")):
        path = resolved(folder / expanded(name))
        if not is_file(path):
            raise ConfigError(f"{path}: no such file")
        return path
    known = dict(entries(kind, catalog=catalog))
    if name not in known:
        raise ConfigError(f"no entry {name!r} in the catalog {kind}; {did_you_mean(name, known)}")
    return known[name]


def entries(kind: Kind, *, catalog: Path | None = None) -> Iterator[tuple[str, Path]]:
    """(name, file) of every entry of a kind; where a name stands twice the first place wins."""
    seen: set[str] = set()
    for root in _roots(catalog):
        base = root / kind
        for path in sorted(base.rglob("*.yaml")):
            name = _name(path, base, kind)
            if name and name not in seen:
                seen.add(name)
                yield name, resolved(path)


def _name(path: Path, base: Path, kind: Kind) -> str | None:
    """An entry's name; None for files that belong to another entry (its tasks, its data)."""
    if path.name == _MAIN[kind]:
        return str(path.parent.relative_to(base))
    inside = any((parent / _MAIN[kind]).exists() for parent in path.parents if parent != base)
    return None if inside else str(path.relative_to(base).with_suffix(""))


def _roots(catalog: Path | None) -> Iterator[Path]:
    if catalog is not None:
        if not catalog.is_dir():
            raise ConfigError(f"--catalog {catalog}: no such folder")
        yield catalog
    yield Path.cwd()
    package = Path(__file__).resolve().parent
    # A wheel carries the catalog inside the package; a checkout has it beside.
    yield package / "_catalog" if (package / "_catalog").is_dir() else package.parent
    for point in entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value)
        if spec and spec.submodule_search_locations:
            yield Path(spec.submodule_search_locations[0])
