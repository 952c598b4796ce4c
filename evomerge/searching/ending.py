"""Why a search ends: what the budget says, and the sentence that the record keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Literal

from evomerge.config import Budget
from evomerge.optimizers.base import Fitness
from evomerge.study.candidate import Candidate
from evomerge.value import Value
from evomerge.wording import count

__all__ = ["ENDED", "STALE", "Ending", "counted", "find_ending", "spared"]

ENDED = "ended"
"""The study's attribute that says why its search is over."""

STALE = 500
"""So many candidates in a row that had all been scored before: the optimizer has nothing new."""


SPARED = 100
"""So many candidates that failed because of their surroundings cost a budget nothing; those after
them count, so that every search ends."""


class Ending(Value):
    """Why a search is over."""

    by: Literal[
        "candidates",
        "evaluations",
        "seconds",
        "target",
        "patience",
        "nothing_new",
        "optimizer",
        "listener",
    ]
    """What ended it: a key of the budget, an optimizer that repeats itself (`nothing_new`) or asks
    nothing more, or a listener that said stop."""
    said: str
    """The same as a sentence."""


def counted(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that count in a budget: without warm starts that failed and were tried again."""
    latest = {
        candidate.label: candidate.number
        for candidate in candidates
        if candidate.proposed_by == "landmark"
    }
    return [
        candidate
        for candidate in candidates
        if candidate.proposed_by != "landmark" or latest[candidate.label] == candidate.number
    ]


def spared(candidates: Sequence[Candidate]) -> set[int]:
    """Numbers of those that a budget does not count: their worker, its machine or the cluster
    failed, and others are asked in their place, within a sitting and after a resume."""
    failed = (c.number for c in candidates if c.failure and c.failure.cause == "infrastructure")
    return set(islice(failed, SPARED))


def find_ending(
    budget: Budget,
    candidates: Sequence[Candidate],
    seconds: float,
    *,
    stale_after: int = STALE,
) -> Ending | None:
    """Why no further candidate may be asked; None while one may.

    Args:
        candidates: all that are on record, by number; each counts once, however many its stages,
            and not one that stopped the search and was tried again, or that was `spared`.
        seconds: of searching so far, over all sittings.
        stale_after: so many in a row that had been scored before end a search too.
    """
    candidates = counted(candidates)
    lost = spared(candidates)
    candidates = [candidate for candidate in candidates if candidate.number not in lost]
    if budget.target and (best := _reaches(budget.target, candidates)):
        reached = f"candidate {best.number} has reached the target"
        return Ending(by="target", said=f"{reached}: {_shown(best.fitness or ())}")
    if budget.patience and (waited := _out_of_patience(budget.patience, candidates)):
        return Ending(by="patience", said=waited)
    if budget.candidates is not None and len(candidates) >= budget.candidates:
        return Ending(
            by="candidates", said=f"the budget of {count(budget.candidates, 'candidate')} is spent"
        )
    evaluated = sum(map(_is_evaluated, candidates))
    if budget.evaluations is not None and evaluated >= budget.evaluations:
        said = f"the budget of {count(budget.evaluations, 'evaluation')} is spent"
        return Ending(by="evaluations", said=said)
    if budget.seconds is not None and seconds >= budget.seconds:
        return Ending(by="seconds", said=f"the budget of {budget.seconds:g} seconds is spent")
    last = candidates[-stale_after:]
    if len(last) == stale_after and not any(map(_is_evaluated, last)):
        said = f"the last {stale_after} candidates had all been scored before"
        return Ending(by="nothing_new", said=f"{said}: the optimizer has nothing new")
    return None


def _is_evaluated(candidate: Candidate) -> bool:
    """Is or was: what had been scored before takes no attempt."""
    return candidate.attempts > 0 or candidate.told is None


def _reaches(target: Sequence[float], candidates: Sequence[Candidate]) -> Candidate | None:
    """The first candidate that has at least the target, in every objective."""
    for candidate in candidates:
        if candidate.fitness and _covers(candidate.fitness, target):
            return candidate
    return None


def _out_of_patience(patience: int, candidates: Sequence[Candidate]) -> str | None:
    """What has been waited for in vain, in the order in which candidates came to their end.

    Warm starts may be the best, and none of them is waited for.
    """
    best: Candidate | None = None
    front: list[Fitness] = []
    since = 0
    told = [candidate for candidate in candidates if candidate.told is not None]
    for candidate in sorted(told, key=lambda ended: ended.told or 0):
        fitness = candidate.fitness
        if fitness is not None and not any(_covers(other, fitness) for other in front):
            front = [other for other in front if not _covers(fitness, other)] + [fitness]
            best, since = candidate, 0
        elif candidate.proposed_by == "optimizer" and candidate.attempts > 0:
            since += 1
    if since < patience:
        return None
    tried = f"{count(since, 'candidate')} {'was' if since == 1 else 'were'} evaluated"
    if best is None:
        return f"{tried}, and none of them has a score"
    than = f"candidate {best.number} ({_shown(best.fitness or ())})"
    return f"{tried}, and none is better than {than}"


def _covers(first: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the first is at least as good in every objective."""
    return all(mine >= theirs for mine, theirs in zip(first, other, strict=True))


def _shown(fitness: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in fitness)
