"""Where a search stands, and whether its budget is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evomerge.config import Budget
from evomerge.study.candidate import Candidate

__all__ = ["STALE", "Progress", "is_spent"]

STALE = 500
"""So many candidates in a row that had all been scored before: the optimizer has nothing new."""


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


def is_spent(
    budget: Budget,
    candidates: Sequence[Candidate],
    seconds: float,
    *,
    stale_after: int = STALE,
) -> bool:
    """Whether no further candidate may be asked.

    Args:
        candidates: all that are on record, by number; each counts once, however many its stages.
        seconds: of searching so far, over all sittings.
        stale_after: so many in a row that had been scored before end a search too.
    """
    evaluated = sum(map(_is_evaluated, candidates))
    last = candidates[-stale_after:]
    return (
        (budget.candidates is not None and len(candidates) >= budget.candidates)
        or (budget.evaluations is not None and evaluated >= budget.evaluations)
        or (budget.seconds is not None and seconds >= budget.seconds)
        or (len(last) == stale_after and not any(map(_is_evaluated, last)))
    )


def _is_evaluated(candidate: Candidate) -> bool:
    """Is or was: what had been scored before takes no attempt."""
    return candidate.attempts > 0 or candidate.told is None
