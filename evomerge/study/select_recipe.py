"""Which recipe of a study is meant: its winner, or a candidate by number."""

from __future__ import annotations

from typing import Any

from evomerge.errors import UserError
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import parse_recipe
from evomerge.study.record import Study

__all__ = ["chosen", "recorded", "winner"]


def chosen(study: Study, number: int | None = None) -> tuple[str, Recipe]:
    """(label, recipe) of a candidate; of the winner where no number is given.

    Raises:
        UserError: there is no such candidate, or nothing has been scored yet.
    """
    if number is None:
        return winner(study)
    candidates = study.candidates()
    if not 0 <= number < len(candidates):
        raise UserError(f"{study.path}: no candidate {number}; there are {len(candidates)}, from 0")
    return f"candidate {number}", recorded(candidates[number].recipe, study)


def winner(study: Study) -> tuple[str, Recipe]:
    """(label, recipe) of the winner; of the best candidate so far while there is none.

    Raises:
        UserError: nothing has been scored yet.
    """
    if chosen := study.get("winner"):
        return str(chosen["label"]), recorded(chosen["recipe"], study)
    for best in study.best(1):
        return f"candidate {best.number}", recorded(best.recipe, study)
    raise UserError(f"{study.path}: no candidate has been scored yet; evomerge resume goes on")


def recorded(data: Any, study: Study) -> Recipe:
    """A recipe as the study keeps it."""
    return parse_recipe(data, origin=f"{study.path}: recipe", folder=study.path)
