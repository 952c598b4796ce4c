"""What a study gives to the next one: what it found where, its best recipes, and what is to be said
of their data."""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.errors import UserError
from evomerge.recipe.tree import Recipe
from evomerge.study.candidate import ranked
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded
from evomerge.wording import count

__all__ = ["elites", "public_sets", "scored_genes"]


def scored_genes(study: Study) -> list[tuple[Mapping[str, float | str], float]]:
    """(gene name -> value in the gene's own unit, fitness) of each candidate that has a fitness and
    keeps the constraints, best first.

    Raises:
        UserError: the study has several objectives, or no such candidate.
    """
    if len(study.objectives) > 1:
        raise UserError(
            f"{study.path}: the study has the objectives {', '.join(study.objectives)}; a"
            " search begins where one with a single objective found its best"
        )
    candidates = study.candidates()
    scored = ranked(candidates, len(candidates))
    if not scored:
        raise UserError(f"{study.path}: no candidate has been scored yet")
    pairs = [(own.values, own.fitness[0]) for own in scored if own.fitness and own.missed == 0]
    if not pairs:
        raise UserError(
            f"{study.path}: no candidate keeps the constraints, so that nothing says where a"
            " search should begin"
        )
    return pairs


def elites(study: Study, number: int) -> dict[str, Recipe]:
    """The best recipes of a study, no two alike, best first, as `elite1`, `elite2` and so on.

    Raises:
        UserError: the study has scored fewer recipes.
    """
    candidates = study.candidates()
    different = {own.digest: own.recipe for own in ranked(candidates, len(candidates))}
    if len(different) < number:
        have = count(len(different), "scored recipe")
        raise UserError(f"{study.path}: {number} elites are wanted, and it has {have}")
    best = list(different.values())[:number]
    return {f"elite{i}": recorded(recipe, study) for i, recipe in enumerate(best, 1)}


def public_sets(study: Study) -> tuple[str, ...]:
    """What of the data of a study's search was a benchmark's own test set, a phrase each.

    As the record has it; of an older study, that its job insisted on one.
    """
    if (named := study.get("test_sets")) is not None:
        return tuple(map(str, named))
    evaluator = study.job.get("evaluator") or {}
    parts = (evaluator.get("of") or {"": evaluator}).values()
    return ("the job allows it",) if any(part.get("allow_test_split") for part in parts) else ()
