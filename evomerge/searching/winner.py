"""Which candidate of a search that is over is its winner."""

from __future__ import annotations

from evomerge.errors import UserError
from evomerge.evaluators.objective import Objective
from evomerge.recipe.digest import plain
from evomerge.recipe.tree import Recipe
from evomerge.searching.final_comparison import Finals, Winner
from evomerge.searching.plan import Plan
from evomerge.study.candidate import Candidate, front, ranked
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded

__all__ = ["choose_winner"]


def choose_winner(plan: Plan, study: Study, finals: Finals) -> Winner:
    """The one on record, or the finalist that the validation split chooses, which is recorded.

    Raises:
        UserError: no candidate keeps the objective's constraints, or none of the finalists could
            be scored, by their own or the job's fault.
        InfrastructureError: none of them could be scored, by the workers' fault.
    """
    if chosen := study.get("winner"):
        return Winner(chosen["label"], recorded(chosen["recipe"], study), chosen["fitness"])
    finalists = _finalists(plan.job.select.finalists, study, plan.objective)
    mean = plan.optimizer.recommend() if plan.job.select.recommendation else None
    if mean is not None:
        finalists["recommendation"] = plan.space.recipe(mean)
    best = finals.choose(finalists)
    study.put(
        "winner", {"label": best.label, "recipe": plain(best.recipe), "fitness": best.fitness}
    )
    return best


def _finalists(limit: int, study: Study, objective: Objective) -> dict[str, Recipe]:
    """The best candidates of the search, each recipe once."""
    best: dict[str, Candidate] = {}
    for candidate in _in_order(study, objective):
        if len(best) < limit:
            best.setdefault(candidate.digest, candidate)
    return {
        f"candidate {candidate.number}": recorded(candidate.recipe, study)
        for candidate in best.values()
    }


def _in_order(study: Study, objective: Objective) -> list[Candidate]:
    """Best first. Where the job names objectives, those come first that no other candidate beats in
    everything, the best of them by the number that all objectives make together.

    Raises:
        UserError: none keeps the constraints.
    """
    candidates = study.candidates()
    order = ranked(candidates, max(len(candidates), 1))
    if order and order[0].missed:
        raise UserError(_unmet(study, order[0], objective))
    order = [candidate for candidate in order if not candidate.missed]
    if not objective.config.objectives:
        return order
    on_front = {candidate.number for candidate in front(candidates)}

    def place(candidate: Candidate) -> tuple[bool, float, int]:
        overall = objective.overall(candidate.fitness or ())
        return candidate.number not in on_front, -overall, candidate.number

    return sorted(order, key=place)


def _unmet(study: Study, nearest: Candidate, objective: Objective) -> str:
    pairs = zip(objective.constraints, nearest.violations, strict=True)
    missed = "; ".join(
        f"{constraint.written} is missed by {violation:.1%}"
        for constraint, violation in pairs
        if violation > 0
    )
    return (
        "no candidate keeps the objective's constraints, so that there is no winner; the nearest is"
        f" candidate {nearest.number} ({missed}); loosen them in a new search, or"
        f" `evomerge export {study.path} --candidate {nearest.number} --out MODEL` takes that one"
    )
