"""Before the first candidate: what base and parents score, where the objective refers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evomerge.errors import about
from evomerge.evaluators.base import Failure, Split
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.quantities import quantities
from evomerge.recipe.tree import Recipe
from evomerge.searching.final_comparison import Scorer
from evomerge.searching.plan import Plan

__all__ = ["measured"]


def measured(
    plan: Plan, scorer: Scorer, splits: Sequence[Split], objective: Objective | None = None
) -> Objective:
    """The plan's objective, which knows what base and parents score on these splits.

    They are scored as any model is, once, and found on record again. On the search split a parent
    is the landmark that makes its weights, so that a candidate of the search costs nothing more.

    Args:
        objective: one that knows some splits already; None: the plan's.

    Raises:
        UserError: one of them could not be scored, or there is no gap to measure by.
        InfrastructureError: no worker can be had or kept alive.
    """
    objective = objective or plan.objective
    models = objective.models
    if not models:
        return objective
    values = dict(objective.references.values)
    for split in splits:
        recipes = {name: _recipe(plan, name, split) for name in models}
        outcomes = scorer.score(recipes, split, noun="reference")
        values[split] = known = {}
        for name, outcome in outcomes.items():
            if isinstance(outcome, Failure):
                raise outcome.as_error(
                    f"objective: {name}, which it refers to, could not be scored: {outcome.message}"
                )
            known[name] = quantities(outcome)
    knowing = replace(objective, references=replace(objective.references, values=values))
    for outcome in outcomes.values():
        with about(plan.called):
            knowing.check_references(outcome)  # type: ignore[arg-type]
        break
    return knowing


def _recipe(plan: Plan, name: str, split: Split) -> Recipe:
    """What scores a source: where candidates are searched, its landmark."""
    genome = plan.landmarks.get(f"parent:{name}") if split == "search" else None
    return plan.baselines[name] if genome is None else plan.space.recipe(genome)
