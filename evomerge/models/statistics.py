"""What was measured of a model, in a folder: one safetensors file a kind, and what they are of.

| kind | tensors |
|---|---|
| `fisher` | a weight's name -> its diagonal Fisher information, of its shape |
| `gram` | a linear layer's weight (m, n) -> X^T X over the rows of X, its inputs; (n, n) |
| `second_moment` | Adam's `exp_avg_sq`: of the weight's shape, or `NAME.rows` and `NAME.columns` |
| `coefficients` | learned coefficients of the task vector: one, or one for each piece of it |

Of a second moment v of rank 1, rows and columns are the sums over the other axis:
v = rows columns^T / sum(rows) (Shazeer & Stern, Adafactor, ICML 2018, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from evomerge.errors import SourceError, did_you_mean
from evomerge.models.fingerprint import fingerprint
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory
from evomerge.models.safetensors_header import read_header
from evomerge.models.sources import statistics_folder
from evomerge.reading.files import is_there
from evomerge.recipe.source import Source
from evomerge.recipe.yaml import read_mapping
from evomerge.value import Value, parse

__all__ = [
    "COLUMNS",
    "DESCRIPTION",
    "ROWS",
    "Description",
    "StatisticsFolder",
    "described",
    "entries",
]

DESCRIPTION = "statistics.json"
ROWS, COLUMNS = ".rows", ".columns"
_SQUARES = ("fisher", "second_moment")
"""Kinds that are squares: never negative, and as small as 1e-20."""

Shape = tuple[int, ...]


class Description(Value):
    """`statistics.json`."""

    format: Literal[1] = 1
    model: str
    """What was measured, for people."""
    fingerprint: str
    """What was measured, for programs."""
    measured: Mapping[str, Mapping[str, Any]]
    """Kind -> how: examples, tokens, settings."""


class StatisticsFolder:
    """A source's folder of statistics, checked by what its files' headers say."""

    def __init__(self, source: Source, models: Headers | None = None) -> None:
        """`models`: what is known of the sources already; read where left out.

        Raises:
            SourceError: there is no such folder, or it is of another model.
        """
        folder = statistics_folder(source)
        if folder is None:
            raise SourceError(
                f"{described(source)}: has no statistics; name their folder as 'statistics'"
            )
        self.folder = folder
        self._source, self._models = source, models or Headers()
        self._shapes: dict[str, Mapping[str, Shape]] = {}
        path = folder / DESCRIPTION
        about = parse(
            Description, read_mapping(path, error=SourceError), origin=str(path), error=SourceError
        )
        own = fingerprint(source, self._models)
        if about.fingerprint != own:
            raise SourceError(
                f"{folder}: these are statistics of {about.model} ({about.fingerprint}), not of"
                f" {described(source)} ({own}); measure that one"
            )

    def check(self, kind: str) -> None:
        """Whether there are statistics of this kind, from headers alone.

        Raises:
            SourceError: there are none, or one that does not fit the model.
        """
        self._entries(kind)

    def has(self, kind: str, name: str) -> bool:
        """Whether there are some of the tensor.

        Raises:
            SourceError: there are none of this kind at all.
        """
        known = self._entries(kind)
        return name in known or (kind == "second_moment" and name + ROWS in known)

    def _entries(self, kind: str) -> Mapping[str, Shape]:
        """The file's tensors and shapes, each of which fits the model."""
        if kind not in self._shapes:
            path = self.folder / f"{kind}.safetensors"
            if not is_there(path):
                raise SourceError(
                    f"{self.folder}: no {path.name}, which the merge needs; evomerge measure and"
                    " evomerge learn write such files"
                )
            self._shapes[kind] = entries(path, kind, self._models.inventory(self._source))
        return self._shapes[kind]


def entries(path: Path, kind: str, inventory: Inventory) -> dict[str, Shape]:
    """The tensors and shapes of a file of statistics of this kind, by its header.

    Raises:
        SourceError: one of them does not fit the model.
    """
    header = read_header(path)
    for entry, info in sorted(header.items()):
        name = entry
        if kind == "second_moment" and entry not in inventory.tensors:
            name = entry.removesuffix(ROWS).removesuffix(COLUMNS)
        if name not in inventory.tensors:
            raise SourceError(
                f"{path}: {entry!r} is no tensor of {inventory.folder};"
                f" {did_you_mean(name, inventory.tensors)}"
            )
        if kind in _SQUARES and info["dtype"] == "F16":
            raise SourceError(
                f"{path}: {entry!r} is float16, in which numbers so small are 0; use float32 or"
                " bfloat16"
            )
        if name != entry and not {name + ROWS, name + COLUMNS} <= set(header):
            raise SourceError(f"{path}: {name!r} needs both {ROWS!r} and {COLUMNS!r}")
        shape, measured = inventory.tensors[name].shape, tuple(info["shape"])
        law = _misfit(kind, entry.removeprefix(name), shape, measured)
        if law:
            raise SourceError(
                f"{path}: {entry!r} has shape {list(measured)}, but the weight has {list(shape)}:"
                f" {law}"
            )
    return {entry: tuple(info["shape"]) for entry, info in sorted(header.items())}


def described(source: Source) -> str:
    """The source as messages name it."""
    return source.model + (f" with {source.adapter}" if source.adapter else "")


def _misfit(kind: str, part: str, weight: Shape, measured: Shape) -> str | None:
    """The law that the shape breaks, if any."""
    match kind:
        case "gram":
            if len(weight) != 2:
                return "only a matrix has inputs"
            return None if measured == (weight[1], weight[1]) else "a Gram matrix is (n, n)"
        case "coefficients":
            return _misfit_of_pieces(math.prod(weight), measured)
    if not part:
        return None if measured == weight else "they are to be equal"
    if len(weight) != 2:
        return "only a matrix has rows and columns"
    side = weight[0] if part == ROWS else weight[1]
    return None if measured == (side,) else f"{side} numbers are wanted"


def _misfit_of_pieces(size: int, measured: Shape) -> str | None:
    if len(measured) != 1 or not measured[0]:
        return "a list of coefficients is wanted"
    used = math.ceil(size / math.ceil(size / measured[0])) if size else 1
    return None if used == measured[0] else f"cut into equal pieces it uses {used} of them"
