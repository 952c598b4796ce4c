"""A stack as a model folder: each layer once, the path in the configuration, the code beside it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

from evomerge.errors import RecipeError, about
from evomerge.models.blueprint import Blueprint, blueprint
from evomerge.models.familiar import STACK_TYPE
from evomerge.models.headers import Headers
from evomerge.models.stacking import check_routable, is_plain
from evomerge.recipe.layer_path import in_use
from evomerge.recipe.tree import Recipe, Stack

__all__ = ["layout_of", "with_own_code"]

_MODULE = "modeling_evomerge_stack"
_MODEL = "EvomergeStackForCausalLM"
_OURS = {
    "AutoConfig": f"{_MODULE}.StackConfig",
    "AutoModelForCausalLM": f"{_MODULE}.{_MODEL}",
}


def layout_of(recipe: Recipe, *, folded: bool, origin: str) -> Blueprint | None:
    """The blueprint of the folder that a recipe's model is written as; None: a plain checkpoint's.

    `folded`: store a stack's layers once even where a plain checkpoint could repeat them.

    Raises:
        UserError: only a folded stack would do, and the recipe is none or has other layers.
    """
    if not isinstance(recipe, Stack):
        if folded:
            raise RecipeError(
                f"{origin}: the format stack is for a recipe of kind stack, and this is a"
                f" {recipe.kind}; leave the format out"
            )
        return None
    if is_plain(recipe) and not folded:
        return None
    with about(origin):
        check_routable(recipe)
    pool, layer_path = in_use(recipe)
    stored = blueprint(pool, Headers())
    config: dict[str, Any] = {
        "model_type": STACK_TYPE,
        "architectures": [_MODEL],
        "auto_map": _OURS,
        "family": stored.config["model_type"],
        "route": layer_path.model_dump(mode="json"),
    }
    return with_own_code(stored.configured(config))


def with_own_code(made: Blueprint) -> Blueprint:
    """A stack's folder with the code that runs it, ours and not what a folder had; any other as it
    is. Where a recipe copies a stack's folder, its configuration is that of a stack too."""
    if made.config.get("model_type") != STACK_TYPE:
        return made
    # The engine for data flow runs the same class: what is served is what was scored.
    code = resources.files("evomerge.engines").joinpath("stack_model.py")
    files = {f"{_MODULE}.py": code.read_text(encoding="utf-8")}
    return replace(made.configured({"auto_map": _OURS}), files=files)
