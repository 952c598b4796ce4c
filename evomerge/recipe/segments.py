"""Tables: members of an archive as coefficients of the seeds, and how two of them are crossed.

Crossing two models by linear or spherical interpolation at a split point of the flat weight vector
(M2N2, 2508.16204, equations 2 to 5) gives a combination of the two whose coefficients are constant
below the split and above it. So every descendant of a few seeds is, at any depth of lineage, a
piecewise constant combination of the seeds themselves: a table of boundaries and coefficients.
Crossing works on the tables; nothing is rounded to a weight's precision from generation to
generation, and the seeds' Gram matrices (`Grams`) hold the angles that spherical interpolation
needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evomerge.errors import RecordError
from evomerge.reading.json_text import parse_json
from evomerge.recipe.arc import angle as angle_between
from evomerge.recipe.grid import Grams

__all__ = ["Angle", "ChromosomeSegments", "PiecewiseCoefficients", "blend", "cross"]

Angle = Literal["whole", "segment"]
"""Between which vectors spherical interpolation takes its angle: the whole chromosomes of both
parents, as the paper's released code does, or their shares below and above the split, each its own,
as the paper writes."""

DECIMALS = 9
"""Decimals of a child's coefficients: a hundredth of float32's precision. Rows that became the same
are then exactly equal, and are joined."""
FAINT = 1e-6
"""Shares of noise below this are dropped: they halve with every generation."""
_ROUNDING = 32 * np.finfo(np.float64).eps
"""Of a sum of products of seeds, relative to the sum of their sizes."""


@dataclass(frozen=True, eq=False)
class ChromosomeSegments:
    """A member's share in one chromosome: ranges that cover it, each with seeds' coefficients."""

    ends: NDArray[np.int64]
    """(rows,) the element positions where the ranges end, ascending; the first begins at 0."""
    coefficients: NDArray[np.float64]
    """(rows, seeds)."""

    def __post_init__(self) -> None:
        if self.coefficients.ndim != 2 or len(self.ends) != len(self.coefficients):
            raise ValueError("each row has an end and a coefficient for each seed")
        if not len(self.ends) or self.ends[0] <= 0 or (np.diff(self.ends) <= 0).any():
            raise ValueError(
                f"rows end at ascending positions above 0, got {_shown(self.ends.tolist())}"
            )
        if not np.isfinite(self.coefficients).all():
            raise ValueError("a coefficient is not finite")
        self.ends.flags.writeable = self.coefficients.flags.writeable = False

    @classmethod
    def of(cls, ends: Sequence[int], coefficients: Sequence[Sequence[float]]) -> ChromosomeSegments:
        """From plain numbers."""
        return cls(np.array(ends, dtype=np.int64), np.array(coefficients, dtype=np.float64))

    @property
    def size(self) -> int:
        """Elements of the chromosome."""
        return int(self.ends[-1])

    def at(self, ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """(ranges, seeds): the coefficients that hold in finer ranges, by where those end."""
        return self.coefficients[np.searchsorted(self.ends, ends)]

    def joined(self) -> ChromosomeSegments:
        """The same with equal neighbours as one row."""
        last = np.ones(len(self.ends), dtype=bool)
        last[:-1] = (self.coefficients[1:] != self.coefficients[:-1]).any(axis=1)
        return ChromosomeSegments(self.ends[last], self.coefficients[last])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ChromosomeSegments)
            and np.array_equal(self.ends, other.ends)
            and np.array_equal(self.coefficients, other.coefficients)
        )

    def __hash__(self) -> int:
        return hash((self.ends.tobytes(), self.coefficients.tobytes()))


@dataclass(frozen=True)
class PiecewiseCoefficients:
    """A member of an archive: a combination of the seeds, chromosome by chromosome."""

    seeds: tuple[str, ...]
    chromosomes: tuple[ChromosomeSegments, ...]
    noise: tuple[tuple[str, float], ...] = ()
    """(`seed~number`, share) by name: random steps along a seed's singular directions that are
    added to the sum, each number its own (method `singular_noise`). CycleQD's mutation."""

    def __post_init__(self) -> None:
        for name, share in self.noise:
            seed, _, number = name.rpartition("~")
            if seed not in self.seeds or not number.isdecimal() or not math.isfinite(share):
                raise ValueError(f"noise is a share for a seed~number, got {name!r}: {share}")
        if list(self.noise) != sorted(dict(self.noise).items()):
            raise ValueError("noise stands by name, each once")
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise ValueError(f"a table needs seeds, each named once, got {list(self.seeds)}")
        if not self.chromosomes:
            raise ValueError("a table needs a chromosome")
        for chromosome in self.chromosomes:
            if chromosome.coefficients.shape[1] != len(self.seeds):
                raise ValueError(
                    f"{len(self.seeds)} seeds need as many coefficients in each row, got"
                    f" {chromosome.coefficients.shape[1]}"
                )

    @classmethod
    def constant(
        cls, seeds: Sequence[str], sizes: Iterable[int], coefficients: Mapping[str, float]
    ) -> PiecewiseCoefficients:
        """The same combination everywhere; `sizes`: elements of each chromosome."""
        row = [float(coefficients.get(name, 0.0)) for name in seeds]
        return cls(tuple(seeds), tuple(ChromosomeSegments.of([size], [row]) for size in sizes))

    @classmethod
    def seed(cls, seeds: Sequence[str], sizes: Iterable[int], name: str) -> PiecewiseCoefficients:
        """One of the seeds itself."""
        return cls.constant(seeds, sizes, {name: 1.0})

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each chromosome."""
        return tuple(chromosome.size for chromosome in self.chromosomes)

    def shares(self) -> dict[str, float]:
        """Seed -> its coefficient, averaged over all elements."""
        lengths = [np.diff(chromosome.ends, prepend=0) for chromosome in self.chromosomes]
        pairs = zip(lengths, self.chromosomes, strict=True)
        sums = np.sum([length @ chromosome.coefficients for length, chromosome in pairs], axis=0)
        return dict(zip(self.seeds, (sums / sum(self.sizes)).tolist(), strict=True))

    def stepped(self, number: int, shares: Mapping[str, float]) -> PiecewiseCoefficients:
        """The member with steps of these sizes along seeds' singular directions.

        They are drawn under `number`, which no other step has.
        """
        steps = [(f"{seed}~{number}", share) for seed, share in shares.items() if share]
        return replace(self, noise=tuple(sorted([*self.noise, *steps])))

    def to_text(self) -> str:
        """Canonical JSON: one spelling for one table, which `from_text` reads back exactly.

        Coefficients stand seed by seed, in the order of the seeds' names there.
        """
        chromosomes = [
            {"coefficients": chromosome.coefficients.T.tolist(), "ends": chromosome.ends.tolist()}
            for chromosome in self.chromosomes
        ]
        plain: dict[str, Any] = {"chromosomes": chromosomes, "seeds": list(self.seeds)}
        if self.noise:
            plain["noise"] = dict(self.noise)
        return json.dumps(plain, separators=(",", ":"), allow_nan=False, ensure_ascii=True)

    @classmethod
    def from_text(cls, text: str) -> PiecewiseCoefficients:
        """Read what `to_text` wrote.

        Raises:
            ValueError: it is no table.
        """
        try:
            plain: Any = parse_json(text.encode(), origin="", error=RecordError)
            chromosomes = [
                ChromosomeSegments.of(
                    chromosome["ends"], list(zip(*chromosome["coefficients"], strict=True))
                )
                for chromosome in plain["chromosomes"]
            ]
            noise = tuple((name, float(share)) for name, share in plain.get("noise", {}).items())
            return cls(tuple(map(str, plain["seeds"])), tuple(chromosomes), noise)
        except (AttributeError, KeyError, RecordError, TypeError, ValueError) as problem:
            raise ValueError(f"not a table of segments: {problem}") from None


def cross(
    a: PiecewiseCoefficients,
    b: PiecewiseCoefficients,
    *,
    splits: Sequence[int],
    ratios: Sequence[float],
    grams: Sequence[Grams] | None,
    angle: Angle = "whole",
) -> PiecewiseCoefficients:
    """The child f_w(A, B) below the split and f_{1-w}(A, B) from it on, chromosome by chromosome.

    f_t is A at t = 0 and B at t = 1: spherical interpolation with `grams`, linear without. A split
    at the size is none: f_w everywhere.

    Args:
        splits: an element position a chromosome, from 0 to its size; with `grams` an edge of its
            grid.
        ratios: w, one a chromosome.
        grams: the seeds' Gram matrices, one a chromosome.

    Raises:
        ValueError: the tables are of other seeds or sizes, a split is out of range or no edge, or
            there is noise, which has no ranges.
    """
    if a.noise or b.noise:
        raise ValueError("steps along singular directions have no ranges that could be crossed")
    if (a.seeds, a.sizes) != (b.seeds, b.sizes):
        raise ValueError("only tables of the same seeds and sizes can be crossed")
    each = grams if grams is not None else [None] * len(a.chromosomes)
    parents = zip(a.chromosomes, b.chromosomes, strict=True)
    children = [
        _cross(first, second, split, ratio, gram, angle)
        for (first, second), split, ratio, gram in zip(parents, splits, ratios, each, strict=True)
    ]
    return PiecewiseCoefficients(a.seeds, tuple(children))


def blend(a: PiecewiseCoefficients, b: PiecewiseCoefficients, t: float) -> PiecewiseCoefficients:
    """(1 - t) A + t B everywhere, noise included; t may lie outside [0, 1]. Raises as `cross`."""
    shares: dict[str, float] = {}
    for table, factor in ((a, 1.0 - t), (b, t)):
        for name, share in table.noise:
            shares[name] = shares.get(name, 0.0) + factor * share
    noise = [(name, round(share, DECIMALS)) for name, share in sorted(shares.items())]
    plain = [replace(table, noise=()) for table in (a, b)]
    child = cross(*plain, splits=a.sizes, ratios=[t] * len(a.sizes), grams=None)
    return replace(child, noise=tuple(step for step in noise if abs(step[1]) > FAINT))


def _cross(
    a: ChromosomeSegments,
    b: ChromosomeSegments,
    split: int,
    ratio: float,
    gram: Grams | None,
    angle: Angle,
) -> ChromosomeSegments:
    if not 0 <= split <= a.size:
        raise ValueError(f"a split lies between 0 and the size {a.size}, got {split}")
    ends = np.unique(np.concatenate([a.ends, b.ends, [split or a.size]]))
    first, second = a.at(ends), b.at(ends)
    below = ends <= split
    t = np.where(below, ratio, 1.0 - ratio)
    of_first, of_second = 1.0 - t, t.copy()
    if gram is not None:
        matrices = gram.between(ends)
        parts = [below, ~below] if angle == "segment" else [np.ones_like(below)]
        for part in parts:
            omega = _omega(first[part], second[part], matrices[part])
            if omega is not None:
                of_first[part] = np.sin((1.0 - t[part]) * omega) / np.sin(omega)
                of_second[part] = np.sin(t[part] * omega) / np.sin(omega)
    child = of_first[:, None] * first + of_second[:, None] * second
    return ChromosomeSegments(ends, child.round(DECIMALS) + 0.0).joined()  # + 0.0: no minus zero


def _omega(
    a: NDArray[np.float64], b: NDArray[np.float64], matrices: NDArray[np.float64]
) -> float | None:
    """The angle between A and B over these ranges; None where interpolation has to be linear."""
    onto_a, onto_b = np.einsum("ri,rij->rj", a, matrices), np.einsum("ri,rij->rj", b, matrices)
    squares = max(np.vdot(onto_a, a), 0.0), max(np.vdot(onto_b, b), 0.0)
    lengths = math.sqrt(squares[0]) * math.sqrt(squares[1])
    if lengths == 0.0:
        return None
    sizes = np.abs(matrices)
    summed = (np.einsum("ri,rij,rj", side, sizes, side) for side in (np.abs(a), np.abs(b)))
    error = sum(_ROUNDING * terms / square for terms, square in zip(summed, squares, strict=True))
    return angle_between(float(np.vdot(onto_a, b)), lengths, float(error))


def _shown(ends: list[int]) -> str:
    return str(ends) if len(ends) <= 8 else f"{str(ends[:8])[:-1]}, ...]"
