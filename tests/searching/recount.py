"""What a search comes to, counted anew from all its candidates: by definition, and slowly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from evomerge.optimizers.base import Fitness
from evomerge.searching.failures import IN_A_ROW, reason
from evomerge.searching.tally import LEADERS, REASONS, Tally, counted, spared
from evomerge.study.candidate import Candidate, ranked

__all__ = ["halted", "recounted", "tallied"]


def tallied(tally: Tally, stale_after: int) -> dict[str, Any]:
    """All that a tally says."""
    return {
        "counting": tally.counting,
        "done": tally.done,
        "told": tally.told,
        "evaluated": tally.evaluated,
        "evaluations": tally.evaluations,
        "failed": tally.failed,
        "stopped": tally.stopped,
        "reached": tally.reached,
        "waited": tally.waited,
        "improvement": tally.improvement,
        "stale": tally.is_stale(stale_after),
        "leaders": tally.leaders,
        "bests": tally.bests,
        "curve": list(tally.curve),
        "failures": list(tally.failures.items()),
    }


def recounted(
    candidates: Sequence[Candidate], target: Fitness | None, stale_after: int
) -> dict[str, Any]:
    """The same, from nothing."""
    known = counted(candidates)
    lost = spared(known)
    counting = [candidate for candidate in known if candidate.number not in lost]
    told = sorted((c for c in known if c.told is not None), key=lambda c: c.told or 0)
    improvement, waited = _improvement([c for c in told if c.number not in lost])
    last = counting[-stale_after:]
    scored = [(c, c.fitness) for c in known if c.fitness is not None]
    firsts = [c.fitness[0] if c.fitness else -math.inf for c in told]
    reasons = Counter(candidate.failure.message for candidate in known if candidate.failure)
    return {
        "counting": len(counting),
        "done": sum(candidate.told is not None for candidate in counting),
        "told": len(told),
        "evaluated": sum(candidate.attempts > 0 for candidate in told),
        "evaluations": sum(map(_is_evaluated, counting)),
        "failed": sum(candidate.state == "failed" for candidate in told),
        "stopped": sum(candidate.state == "stopped" for candidate in told),
        "reached": next((c for c, fitness in scored if target and covers(fitness, target)), None),
        "waited": waited,
        "improvement": improvement,
        "stale": len(last) == stale_after and not any(map(_is_evaluated, last)),
        "leaders": tuple(ranked(known, LEADERS)),
        "bests": tuple(
            max(scored, key=lambda pair: (pair[1][place], -pair[0].number))[0]
            for place in range(len(scored[0][1]) if scored else 0)
        ),
        "curve": [best for best in accumulate(firsts, max) if best > -math.inf],
        "failures": reasons.most_common(REASONS),
    }


def covers(first: Fitness, other: Fitness) -> bool:
    """Whether the first is at least as good in every objective."""
    return all(mine >= theirs for mine, theirs in zip(first, other, strict=True))


def _improvement(told: Sequence[Candidate]) -> tuple[Candidate | None, int]:
    """The last that was better than all before, and how many were waited for since."""
    best: Candidate | None = None
    front: list[Fitness] = []
    since = 0
    for candidate in told:
        fitness = candidate.fitness
        if fitness is not None and not any(covers(other, fitness) for other in front):
            front = [other for other in front if not covers(fitness, other)] + [fitness]
            best, since = candidate, 0
        elif candidate.proposed_by == "optimizer" and candidate.attempts > 0:
            since += 1
    return best, since


def _is_evaluated(candidate: Candidate) -> bool:
    return candidate.attempts > 0 or candidate.told is None


def halted(candidates: Sequence[Candidate], since: int) -> tuple[int, ...] | None:
    """The candidates in a row that failed for one reason after a tell, if that stops the search."""
    told = sorted((c for c in candidates if c.told is not None), key=lambda c: -(c.told or 0))
    row: list[Candidate] = []
    for candidate in told:
        if (candidate.told or 0) <= since or candidate.failure is None:
            break
        if row and row[0].failure and reason(candidate.failure) != reason(row[0].failure):
            break
        row.insert(0, candidate)
    goes_on = any(c.state in ("done", "stopped") for c in candidates)
    failure = row[-1].failure if row else None
    if len(row) < IN_A_ROW or failure is None:
        return None
    if failure.cause == "candidate" and not failure.is_of_the_job and goes_on:
        return None
    return tuple(candidate.number for candidate in row)
