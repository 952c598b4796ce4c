"""From the last candidate to the verdict: the winner, its rivals, and the comparison on record."""

from __future__ import annotations

from collections.abc import Callable

from evomerge.cluster.base import Executor
from evomerge.evaluators.base import Outcome, Report
from evomerge.evaluators.objective import Objective
from evomerge.models.blueprint import outline
from evomerge.operators import signatures
from evomerge.recipe.digest import digest
from evomerge.recipe.same import same_as
from evomerge.recipe.tree import Recipe
from evomerge.searching.equal_cost import compete
from evomerge.searching.final_comparison import Finals, Scorer, Winner
from evomerge.searching.plan import Plan
from evomerge.searching.progress import Scoring
from evomerge.searching.references import measured
from evomerge.searching.rivals import find_rivals
from evomerge.searching.weight_shares import carriers
from evomerge.searching.winner import choose_winner
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.study.remarks import FitnessBySplit

__all__ = ["EVOLVED", "finish", "finished", "same_as_source"]

EVOLVED = "evolved"
"""What the winner is called in the comparison."""


def finished(study: Study) -> Comparison | None:
    """What a study has come to that needs nothing more; None where something is still to do.

    A baseline that could not be scored for want of a worker is tried again.
    """
    if not (data := study.get("comparison")):
        return None
    comparison = Comparison.from_json(data)
    is_whole = all(failure.cause == "candidate" for failure in comparison.failed.values())
    return comparison if is_whole else None


def finish(
    plan: Plan,
    study: Study,
    workers: Executor,
    tell: Callable[[Scoring], None] = lambda scoring: None,
    *,
    objective: Objective | None = None,
) -> Comparison:
    """Choose the winner of a study whose search is over, and compare it on the holdout, once.

    Winner and comparison are recorded; what is on record already is not made again. Between the two
    come the searches that the job wants to be compared with.

    Args:
        tell: hears how far the models of a split are scored, those of such searches among them.
        objective: as the search knew it; None: the plan's, which refers to no model.

    Raises:
        UserError: no candidate keeps the constraints, or none can be scored.
        InfrastructureError: no finalist, or not the winner, could be scored; no worker can be had.
    """
    if (comparison := finished(study)) is not None:
        return comparison
    scorer = Scorer(study, workers, plan.evaluator, tell)
    objective = measured(plan, scorer, ["validation"], objective)
    finals = Finals(scorer, objective)
    best = choose_winner(plan, study, finals)
    space = plan.space
    merges = space.plain_merges
    carrying = carriers(
        best.recipe, list(merges.parents) if merges else [], signatures(), plan.headers
    )
    rivals = find_rivals(
        plan.baselines,
        merges,
        carrying,
        scorer,
        objective,
        tune=plan.job.select.tune_baselines,
    )
    label = EVOLVED
    while label in rivals.recipes:  # a source may be the winner of an earlier search
        label += "*"
    opponents = compete(plan, study, workers, objective, called=label, tell=tell)
    models = {label: best.recipe, **rivals.recipes, **opponents.recipes}
    outcomes: dict[str, Outcome] = {**finals.holdout(models), **rivals.failed, **opponents.failed}
    objective = measured(plan, scorer, ["holdout"], objective)
    base = merges.base[0] if merges and merges.base else None
    known = plan.job.space.known_inputs(plan.job.sources)
    comparison = Comparison.of(
        outcomes,
        winner=label,
        weights=plan.objective.weights,
        parents=tuple(label for label in plan.baselines if label in known and label != base),
        base=base,
        same_as=same_as_source(best.recipe, plan),
        fitness=_fitness(objective, study, best, outcomes[label]),
        tuning=rivals.tuning,
        searches=opponents.costs,
        kept=_kept(objective, outcomes[label]),
        remark=_left_out(plan),
        test_sets=plan.job.test_sets,
    )
    study.put("comparison", comparison.to_json())
    return comparison


def same_as_source(recipe: Recipe, plan: Plan) -> str | None:
    """The source, or named input, of the job whose weights the recipe makes; None: of none."""
    return same_as(
        recipe,
        plan.job.space.known_inputs(plan.job.sources),
        signatures(),
        lambda model: outline(model, plan.headers).layers,
    )


def _fitness(
    objective: Objective, study: Study, best: Winner, holdout: Outcome
) -> FitnessBySplit | None:
    """The winner's on all splits; None where the holdout could not be scored."""
    if not isinstance(holdout, Report):
        return None
    name = digest(best.recipe)
    searched = (
        objective.overall(candidate.fitness)
        for candidate in study.best(len(study.candidates()))
        if candidate.digest == name and candidate.fitness is not None
    )
    return FitnessBySplit(
        search=next(searched, None),
        validation=best.fitness,
        holdout=objective.overall(objective(holdout)),
    )


def _kept(objective: Objective, holdout: Outcome) -> list[str]:
    """What the winner has and has to have, of each constraint."""
    return objective.said(holdout, met=True) if isinstance(holdout, Report) else []


def _left_out(plan: Plan) -> str:
    """What the objective counts beside the tasks' scores, which the verdict is about."""
    config = plan.objective.config
    costs = list(dict.fromkeys([*config.prices, *config.also]))
    named = " and ".join(cost.replace("_", " ") for cost in costs)
    return f"; {named}, which the objective counts too, left out" if costs else ""
