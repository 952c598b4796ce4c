"""Names that a shell completes where an argument is an entry of a catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from evomerge import catalog
from evomerge.commands.roles import ROLES
from evomerge.errors import ConfigError

__all__ = ["catalog_names", "evaluator_names"]


def catalog_names(context: typer.Context, incomplete: str) -> list[str]:
    """Catalogs and their entries, for `evomerge catalog NAME`."""
    names = [*catalog.KINDS, *ROLES]
    names += [name for kind in catalog.KINDS for name in _entries(context, kind)]
    names += [name for registry in ROLES.values() for name in registry.entries]
    return _beginning(names, incomplete)


def evaluator_names(context: typer.Context, incomplete: str) -> list[str]:
    """Evaluators of the catalogs, and YAML files."""
    return _beginning([*_entries(context, "evaluators"), *_files(incomplete)], incomplete)


def _entries(context: typer.Context, kind: catalog.Kind) -> list[str]:
    folder: Path | None = context.params.get("catalog_folder")
    try:
        return [name for name, _ in catalog.entries(kind, catalog=folder)]
    except ConfigError:  # no such folder: the command itself will say so
        return []


def _files(incomplete: str) -> Iterator[str]:
    """Folders and YAML files that begin so."""
    start, slash, _ = incomplete.rpartition("/")
    for path in sorted(Path(f"{start}{slash}" or ".").expanduser().glob("*")):
        if path.is_dir():
            yield f"{start}{slash}{path.name}/"
        elif path.suffix in (".yaml", ".yml"):
            yield f"{start}{slash}{path.name}"


def _beginning(names: list[str], incomplete: str) -> list[str]:
    """Each once, sorted."""
    return sorted({name for name in names if name.startswith(incomplete)})
