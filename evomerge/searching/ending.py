"""Why a search ends: what the budget says, and the sentence that the record keeps of it."""

from __future__ import annotations

from typing import Literal

from evomerge.config import Budget
from evomerge.searching.tally import Tally
from evomerge.study.candidate import Candidate
from evomerge.value import Value
from evomerge.wording import count

__all__ = ["ENDED", "STALE", "Ending", "find_ending"]

ENDED = "ended"
"""The study's attribute that says why its search is over."""

STALE = 500
"""So many candidates in a row that had all been scored before: the optimizer has nothing new."""


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


def find_ending(
    budget: Budget, tally: Tally, seconds: float, *, stale_after: int = STALE
) -> Ending | None:
    """Why no further candidate may be asked; None while one may.

    Args:
        tally: of the candidates, with the budget's target.
        seconds: of searching so far, over all sittings.
        stale_after: so many in a row that had been scored before end a search too.
    """
    if tally.reached is not None:
        reached = f"candidate {tally.reached.number} has reached the target"
        return Ending(by="target", said=f"{reached}: {_fitness(tally.reached)}")
    if budget.patience and tally.waited >= budget.patience:
        return Ending(by="patience", said=_waited(tally))
    if budget.candidates is not None and tally.counting >= budget.candidates:
        return Ending(
            by="candidates", said=f"the budget of {count(budget.candidates, 'candidate')} is spent"
        )
    if budget.evaluations is not None and tally.evaluations >= budget.evaluations:
        said = f"the budget of {count(budget.evaluations, 'evaluation')} is spent"
        return Ending(by="evaluations", said=said)
    if budget.seconds is not None and seconds >= budget.seconds:
        return Ending(by="seconds", said=f"the budget of {budget.seconds:g} seconds is spent")
    if tally.is_stale(stale_after):
        said = f"the last {stale_after} candidates had all been scored before"
        return Ending(by="nothing_new", said=f"{said}: the optimizer has nothing new")
    return None


def _waited(tally: Tally) -> str:
    """What has been waited for in vain."""
    were = "was" if tally.waited == 1 else "were"
    tried, best = f"{count(tally.waited, 'candidate')} {were} evaluated", tally.improvement
    if best is None:
        return f"{tried}, and none of them has a score"
    return f"{tried}, and none is better than candidate {best.number} ({_fitness(best)})"


def _fitness(candidate: Candidate) -> str:
    return ", ".join(f"{value:.4f}" for value in candidate.fitness or ())
