"""The tensors of a source's statistics, read when they are asked for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.bank import Bank
from evomerge.merging.tensor_files import open_tensors
from evomerge.models.statistics import COLUMNS, ROWS, StatisticsFolder
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe

__all__ = ["Statistics", "check_values", "statistics_of"]


class Statistics(StatisticsFolder):
    """A folder of statistics whose tensors can be read; files stay open."""

    def __init__(self, source: Source) -> None:
        """Raises: SourceError: as `StatisticsFolder`."""
        super().__init__(source)
        self._good: set[tuple[str, str]] = set()
        self._files: dict[str, Any] = {}
        self._norms: dict[str, float] = {}

    def tensor(self, kind: str, name: str) -> Tensor:
        """Those of the tensor `name`, float32, not to be changed; of rank 1 written out.

        Raises:
            SourceError: there are none, or they are not finite or negative.
        """
        if not self.has(kind, name):
            raise SourceError(f"{self.folder}: {kind} has no tensor {name!r}")
        if name in self._entries(kind):
            return self._read(kind, name)
        rows, columns = self._read(kind, name + ROWS), self._read(kind, name + COLUMNS)
        total = float(rows.double().sum())
        # Divided first: the product of two sums of 1e-20 is below float32's least number.
        return rows.div(total if total > 0 else 1.0).outer(columns)

    def norm(self, kind: str) -> float:
        """The 2-norm of all tensors together.

        Raises:
            SourceError: as `tensor`.
        """
        if kind not in self._norms:
            names = dict.fromkeys(
                entry.removesuffix(ROWS).removesuffix(COLUMNS) for entry in self._entries(kind)
            )
            self._norms[kind] = math.sqrt(
                math.fsum(float(self.tensor(kind, name).double().square().sum()) for name in names)
            )
        return self._norms[kind]

    def _read(self, kind: str, entry: str) -> Tensor:
        path = self.folder / f"{kind}.safetensors"
        if kind not in self._files:
            self._files[kind] = open_tensors(path)
        tensor: Tensor = self._files[kind].get_tensor(entry).float()
        if (kind, entry) not in self._good:
            check_values(tensor, kind, entry, path)
            self._good.add((kind, entry))
        return tensor


def check_values(tensor: Tensor, kind: str, entry: str, path: Path) -> None:
    """Raises: SourceError: not finite, or negative where the kind is a mean of squares."""
    if not bool(tensor.isfinite().all()):
        raise SourceError(f"{path}: the tensor {entry!r} is not finite")
    squares = tensor.diagonal() if kind == "gram" else tensor
    if kind != "coefficients" and bool((squares < 0).any()):
        raise SourceError(
            f"{path}: the tensor {entry!r} is negative somewhere, and a mean of squares cannot be"
        )


def statistics_of(recipe: Recipe, bank: Bank) -> Statistics:
    """What was measured of an input: opened once a bank.

    Raises:
        SourceError: nothing was, or it is no source.
    """
    if not isinstance(recipe, Source):
        raise SourceError("a recipe has no statistics; build and measure it first")
    return bank.remember(("statistics", recipe), lambda: Statistics(recipe))
