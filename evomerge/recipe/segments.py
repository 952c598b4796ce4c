"""Tables: members of an archive as coefficients of the seeds, and how two of them are crossed.

Crossing two models by linear or spherical interpolation at a split point of the flat weight vector
(M2N2, 2508.16204, equations
2 to 5) gives a combination of the two whose coefficients are constant below the split and above it.
So every descendant of a few seeds is, at any depth of lineage, a piecewise constant combination of
the seeds themselves: a table of boundaries and coefficients. Crossing works on the tables; nothing
is rounded to a weight's precision from generation to generation, and the seeds' Gram matrices
(`Grams`) hold the angles that spherical interpolation needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.grid import Grams

__all__ = ["Angle", "Interpolation", "Row", "Rows", "Table", "cross", "join"]

Interpolation = Literal["slerp", "linear"]
Angle = Literal["whole", "segment"]
"""Between which vectors spherical interpolation takes its angle: the whole chromosomes of both
parents, as the paper's released code does, or their shares below and above the split, each its own,
as the paper writes."""

SAME = 1e-9
"""Coefficients that differ by less are the same: a sixtieth of what float32 tells apart."""
PARALLEL = 1e-6
"""The sine of an angle up to which spherical interpolation is linear, as in the released code."""


class Row(NamedTuple):
    """A range of a chromosome, from where the row before ends: the weights of each seed in it."""

    until: int
    """The element position where the range ends."""
    coefficients: tuple[float, ...]


Rows = tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A combination of the seeds: for each chromosome rows that cover it from its start."""

    seeds: tuple[str, ...]
    chromosomes: tuple[Rows, ...]

    def __post_init__(self) -> None:
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise ValueError(f"a table needs seeds, each named once, got {', '.join(self.seeds)}")
        if not self.chromosomes:
            raise ValueError("a table needs a chromosome")
        for rows in self.chromosomes:
            ends = [0, *(row.until for row in rows)]
            if len(ends) < 2 or any(b <= a for a, b in pairwise(ends)):
                raise ValueError(f"a chromosome's rows end at ascending positions, got {ends[1:]}")
            for row in rows:
                if len(row.coefficients) != len(self.seeds):
                    raise ValueError(
                        f"{len(self.seeds)} seeds need as many coefficients, got"
                        f" {len(row.coefficients)}"
                    )
                if not all(map(math.isfinite, row.coefficients)):
                    raise ValueError(f"a coefficient is not finite in {list(row.coefficients)}")

    @classmethod
    def constant(
        cls, seeds: Sequence[str], sizes: Iterable[int], coefficients: Mapping[str, float]
    ) -> Table:
        """The same combination everywhere; `sizes`: elements of each chromosome."""
        values = tuple(float(coefficients.get(name, 0.0)) for name in seeds)
        return cls(tuple(seeds), tuple((Row(size, values),) for size in sizes))

    @classmethod
    def seed(cls, seeds: Sequence[str], sizes: Iterable[int], name: str) -> Table:
        """One of the seeds itself."""
        return cls.constant(seeds, sizes, {name: 1.0})

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each chromosome."""
        return tuple(rows[-1].until for rows in self.chromosomes)

    def to_text(self) -> str:
        """Canonical JSON: one spelling for one table, which `from_text` reads back exactly."""
        plain = {
            "chromosomes": [
                [[row.until, *row.coefficients] for row in r] for r in self.chromosomes
            ],
            "seeds": list(self.seeds),
        }
        return json.dumps(plain, separators=(",", ":"), allow_nan=False, ensure_ascii=True)

    @classmethod
    def from_text(cls, text: str) -> Table:
        """Read what `to_text` wrote.

        Raises:
            ValueError: it is no table.
        """
        try:
            plain: Any = json.loads(text)
            chromosomes = [
                tuple(Row(int(until), tuple(map(float, values))) for until, *values in rows)
                for rows in plain["chromosomes"]
            ]
            seeds = tuple(map(str, plain["seeds"]))
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"not a table of segments: {problem}") from None
        return cls(seeds, tuple(chromosomes))


def cross(
    a: Table,
    b: Table,
    *,
    splits: Sequence[int],
    ratios: Sequence[float],
    grams: Sequence[Grams] | None,
    angle: Angle = "whole",
) -> Table:
    """The child f_w(A, B) below the split and f_{1-w}(A, B) from it on, chromosome by chromosome.

    f_t is A at t = 0 and B at t = 1: spherical interpolation with `grams`, linear without.

    Args:
        splits: an element position a chromosome, from 0 to its size; with `grams` an edge of its
            grid.
        ratios: w, one a chromosome.
        grams: the seeds' Gram matrices, one a chromosome.

    Raises:
        ValueError: the tables are of other seeds or sizes, or a split is out of range or no edge.
    """
    if (a.seeds, a.sizes) != (b.seeds, b.sizes):
        raise ValueError("only tables of the same seeds and sizes can be crossed")
    each = grams if grams is not None else [None] * len(a.chromosomes)
    parents = zip(a.chromosomes, b.chromosomes, strict=True)
    children = [
        _cross(one, two, split, ratio, gram, angle)
        for (one, two), split, ratio, gram in zip(parents, splits, ratios, each, strict=True)
    ]
    return Table(a.seeds, tuple(children))


def join(ends: Sequence[int], coefficients: NDArray[np.float64]) -> Rows:
    """Rows of these ranges, neighbours with the same coefficients (to `SAME`) joined into one."""
    kept: list[Row] = []
    for until, values in zip(ends, coefficients.tolist(), strict=True):
        last = kept[-1].coefficients if kept else ()
        if kept and all(abs(x - y) < SAME for x, y in zip(last, values, strict=True)):
            kept[-1] = Row(int(until), last)
        else:
            kept.append(Row(int(until), tuple(values)))
    return tuple(kept)


def _cross(a: Rows, b: Rows, split: int, ratio: float, gram: Grams | None, angle: Angle) -> Rows:
    size = a[-1].until
    if not 0 <= split <= size:
        raise ValueError(f"a split lies between 0 and the size {size}, got {split}")
    within = {split} if 0 < split < size else set()
    ends = np.array(sorted({row.until for row in (*a, *b)} | within), dtype=np.int64)
    first, second = _spread(a, ends), _spread(b, ends)
    below = ends <= split
    t = np.where(below, ratio, 1.0 - ratio)
    of_first, of_second = 1.0 - t, t
    if gram is not None:
        matrices = gram.between(ends)
        parts = [below, ~below] if angle == "segment" else [np.ones_like(below)]
        for part in parts:
            omega = _omega(first[part], second[part], matrices[part])
            if omega is not None:
                of_first[part] = np.sin((1.0 - t[part]) * omega) / np.sin(omega)
                of_second[part] = np.sin(t[part] * omega) / np.sin(omega)
    return join(ends.tolist(), of_first[:, None] * first + of_second[:, None] * second)


def _spread(rows: Rows, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """(ranges, seeds): the coefficients that hold in the ranges that end there."""
    own = np.array([row.until for row in rows])
    return np.array([row.coefficients for row in rows])[np.searchsorted(own, ends)]


def _omega(
    a: NDArray[np.float64], b: NDArray[np.float64], matrices: NDArray[np.float64]
) -> float | None:
    """The angle between A and B over these ranges; None where interpolation has to be linear."""
    towards_a, towards_b = (
        np.einsum("ri,rij->rj", a, matrices),
        np.einsum("ri,rij->rj", b, matrices),
    )
    lengths = math.sqrt(max(np.vdot(towards_a, a), 0.0)) * math.sqrt(
        max(np.vdot(towards_b, b), 0.0)
    )
    if lengths == 0.0:
        return None
    omega = math.acos(min(max(float(np.vdot(towards_a, b)) / lengths, -1.0), 1.0))
    return omega if math.sin(omega) > PARALLEL else None
