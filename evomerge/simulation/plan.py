"""What goes wrong in a simulated search: a list that is known before it begins.

A fault is addressed by something that is counted (crossings between the search and the world,
evaluations begun) or by simulated time. So a part of the list can be played alone, which is how a
failure is narrowed down.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = [
    "EVALUATIONS",
    "KINDS",
    "NODES",
    "PROCESSES",
    "STARTS",
    "FaultKind",
    "SimulatedFault",
    "draw_faults",
]

FaultKind = Literal[
    "driver killed",
    "interrupted",
    "interrupted twice",
    "disk fills",
    "another looks",
    "killed starting",
    "another starts",
    "worker dies",
    "worker hangs",
    "late answer",
    "answer twice",
    "node leaves",
    "node joins",
    "preempted",
    "no place",
    "late place",
    "dies starting",
    "hangs starting",
    "cannot start",
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

_DRIVER: tuple[FaultKind, ...] = (
    "driver killed",
    "interrupted",
    "interrupted twice",
    "disk fills",
    "another looks",
)
STARTS: tuple[FaultKind, ...] = ("killed starting", "another starts")
EVALUATIONS: tuple[FaultKind, ...] = ("worker dies", "worker hangs", "late answer", "answer twice")
NODES: tuple[FaultKind, ...] = ("node leaves", "node joins", "preempted")
PROCESSES: tuple[FaultKind, ...] = (
    "no place",
    "late place",
    "dies starting",
    "hangs starting",
    "cannot start",
)


@dataclass(frozen=True)
class SimulatedFault:
    """One fault."""

    kind: FaultKind
    at: int
    """Of a driver's: the number of the crossing; of a start's: of the call of the system; of an
    evaluation's: of the evaluation begun, from 0; of a process's: of the process asked for, from 0;
    of a node's: the simulated second."""
    share: float
    """In [0, 1): how far the evaluation or the last writes had come, how much room is left on the
    disk, or how late an answer is."""

    def __str__(self) -> str:
        return f"{self.kind} at {self.at} ({self.share:.3f})"


def draw_faults(seed: int) -> tuple[SimulatedFault, ...]:
    """The faults of a seed, in a fixed order; one seed in sixteen has none."""
    rng = random.Random(f"faults {seed}")
    if rng.random() < 1 / 16:
        return ()
    return (
        *_draw(rng, _DRIVER, (4, 1, 1, 1, 1), rng.choice((0, 1, 2, 3, 5)), 300),
        *_draw(rng, EVALUATIONS, (4, 1, 2, 3), rng.choice((0, 0, 2, 4, 8)), 30),
        *_draw(rng, NODES, (3, 2, 2), rng.choice((0, 0, 1, 2, 4)), 60),
        *_draw_starts(rng),
        *_draw(rng, PROCESSES, (3, 3, 4, 2, 2), rng.choice((0, 0, 1, 2, 5)), 12),
    )


def _draw(
    rng: random.Random, kinds: Sequence[FaultKind], odds: Sequence[int], count: int, before: int
) -> list[SimulatedFault]:
    """At places that are dense at the beginning, where a search has more to restore wrongly."""
    drawn = {}
    for _ in range(count):
        at = int(before ** rng.random()) - 1
        drawn[at] = SimulatedFault(rng.choices(kinds, odds)[0], at, rng.random())
    return [drawn[at] for at in sorted(drawn)]


def _draw_starts(rng: random.Random) -> list[SimulatedFault]:
    """One a start at most, in the order of the starts; anywhere, since each call may matter."""
    return [
        SimulatedFault(rng.choices(STARTS, (2, 1))[0], int(85 * rng.random() ** 1.3), rng.random())
        for _ in range(rng.choice((0, 0, 0, 1, 2)))
    ]
