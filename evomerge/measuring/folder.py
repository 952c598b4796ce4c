"""Writing a folder of statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from evomerge.merging.tensor_files import write_tensors
from evomerge.models.fingerprint import fingerprint
from evomerge.models.statistics import DESCRIPTION, Description, described
from evomerge.recipe.source import Source

__all__ = ["Measured", "write_statistics"]

Measured = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""The tensors of a kind, and how they were found."""


def write_statistics(folder: Path, source: Source, measured: Mapping[str, Measured]) -> None:
    """The files of a folder that exists; `measured` by kind."""
    for kind, (tensors, _) in sorted(measured.items()):
        write_tensors(tensors, folder / f"{kind}.safetensors")
    about = Description(
        model=described(source),
        fingerprint=fingerprint(source),
        measured={kind: how for kind, (_, how) in sorted(measured.items())},
    )
    (folder / DESCRIPTION).write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
