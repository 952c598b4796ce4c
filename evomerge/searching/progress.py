"""Where a search stands."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from evomerge.evaluators.base import Split
from evomerge.study.candidate import Candidate

__all__ = ["Progress", "Scoring", "bests", "curve", "failures"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands."""

    total: int | None
    """Candidates in the budget; None where it has seconds only."""
    limit_s: float | None
    """Seconds in the budget, over all sittings."""
    evaluations: int | None
    """Evaluations in the budget."""
    done: int
    """Candidates that were told: scored, stopped or failed."""
    evaluated: int
    """Of those done, the ones whose recipe had not been scored before."""
    failed: int
    running: int
    seconds: float
    """Of searching, over all sittings."""
    best: Candidate | None
    stopped: int = 0
    """Of those done, the ones that the schedule gave up."""
    paused: int = 0
    """Candidates that wait for the schedule."""
    draining: bool = False
    """Whether only what is under way is waited for, after an interruption."""
    objectives: tuple[str, ...] = ("fitness",)
    """The names of the fitness's numbers."""
    leaders: tuple[Candidate, ...] = ()
    """The best so far, best first: at most five."""
    bests: tuple[Candidate, ...] = ()
    """For each objective the candidate that is best in it."""
    curve: tuple[float, ...] = ()
    """The best of the first objective, after each candidate that was told; `curve`."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Why candidates failed -> how many, the most frequent reason first."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How far the models of a split are scored, once the search is over."""

    split: Split
    done: int
    """Models that are scored, or failed, of this split."""
    total: int
    models: Mapping[str, str]
    """Of those under way: the id of the task -> the model's label."""
    noun: str = "model"
    """What one of them is called: a finalist, a strength of a baseline."""


def curve(told: Sequence[Candidate]) -> tuple[float, ...]:
    """The best of the first objective so far, from the first candidate that has a fitness on.

    Args:
        told: candidates that were told, in any order.
    """
    ordered = sorted(told, key=lambda candidate: candidate.told or 0)
    firsts = [c.fitness[0] if c.fitness else -math.inf for c in ordered]
    return tuple(best for best in accumulate(firsts, max) if best > -math.inf)


def bests(told: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """For each objective the candidate that is best in it; the older one of two that are equal."""
    scored = [(c, c.fitness) for c in told if c.fitness is not None]
    if not scored:
        return ()
    return tuple(
        max(scored, key=lambda pair: (pair[1][objective], -pair[0].number))[0]
        for objective in range(len(scored[0][1]))
    )


def failures(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Why candidates failed -> how many did, the most frequent reason first."""
    reasons = Counter(candidate.failure.message for candidate in candidates if candidate.failure)
    return dict(reasons.most_common())
