"""Whether selectors mean something in a model: their tower and layers are there, and they select a
tensor."""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.errors import RecipeError
from evomerge.models.anatomy import Anatomy
from evomerge.models.blueprint import Blueprint, outline
from evomerge.models.headers import Headers
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe
from evomerge.wording import count

__all__ = ["check_range", "empty_rules", "nothing_selected"]


def check_range(where: Selector, made: Blueprint, origin: str) -> None:
    """The selector's tower is there, and its layers are those of one tower.

    Raises:
        RecipeError: they are not; the sentence starts with `origin`.
    """
    anatomy = made.anatomy
    towers = [own.tower for own in anatomy.towers]
    if where.tower is not None and where.tower not in towers:
        has = ", ".join(towers) if towers else "none that its tensors' names tell"
        raise RecipeError(f"{origin}.tower: no tower {where.tower!r}; the model has {has}")
    if where.layers is None:
        return
    if where.tower is None and anatomy.main is None and towers:
        several = ", ".join(towers)
        raise RecipeError(
            f"{origin}.layers: the model has the towers {several}, each with layers of its own; say"
            " which with 'tower'"
        )
    main = where.tower is None or (anatomy.main is not None and anatomy.main.tower == where.tower)
    layers = made.layers if main else anatomy.depth(where.tower)
    if where.layers[1] > layers:
        of = f"{where.tower}'s" if where.tower else "model's"
        raise RecipeError(
            f"{origin}.layers: {list(where.layers)} goes beyond the {of} {count(layers, 'layer')}"
        )


def empty_rules(recipe: Recipe, models: Headers, *, origin: str) -> Iterator[str]:
    """A sentence for each rule of the recipe, or of those in it, that selects no tensor.

    Where a recipe is checked, it is refused for that. Where it is built, it is told and no more:
    searches once gave genes to groups that select nothing, and their recipes have to stay.

    Raises:
        SourceError: a model cannot be read.
    """
    if isinstance(recipe, Source):
        return
    for name, child in recipe.inputs.items():
        yield from empty_rules(child, models, origin=f"{origin}: inputs.{name}")
    if isinstance(recipe, Merge) and any(not rule.where.matches_all for rule in recipe.rules):
        anatomy = outline(recipe, models).anatomy
        for number, rule in enumerate(recipe.rules):
            if not anatomy.selects(rule.where):
                yield f"{origin}: rules.{number}: {nothing_selected(rule.where, anatomy)}"


def nothing_selected(where: Selector, anatomy: Anatomy) -> str:
    """Why a selector that matches no tensor does not, with what there is instead."""
    within = [
        own
        for own in anatomy.components
        if anatomy.selects(Selector(component=own, tower=where.tower))
    ]
    if where.component is not None and where.component not in within:
        has = ", ".join(within) or "none that its tensors' names tell"
        model = f"the {where.tower} of this model" if where.tower else "this model"
        return f"component {where.component} selects nothing in {model}; it has: {has}"
    experts = {place.expert for place in anatomy.places if place.component == "expert"}
    if where.experts is not None and not anatomy.selects(Selector(experts=where.experts)):
        if not experts:
            return f"{where} selects nothing: this model has no experts"
        if experts == {None}:
            return (
                f"{where} selects nothing: this model stores all experts of a layer in one tensor;"
                " leave the experts out"
            )
        numbered = [number for number in experts if number is not None]
        return f"{where} selects nothing: this model has {count(max(numbered) + 1, 'expert')}"
    return f"{where} selects nothing in this model"
