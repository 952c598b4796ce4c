"""A stack as a model folder: each layer once, the path in the configuration, the code beside it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

from evomerge.errors import RecipeError, about
from evomerge.models.blueprint import Blueprint, blueprint
from evomerge.models.headers import Headers
from evomerge.models.stacking import check_routable, is_plain
from evomerge.recipe.layer_path import in_use
from evomerge.recipe.tree import Recipe, Stack

__all__ = ["layout_of"]

_MODULE = "modeling_evomerge_stack"
_MODEL = "EvomergeStackForCausalLM"


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
        "model_type": "evomerge_stack",
        "architectures": [_MODEL],
        "auto_map": {
            "AutoConfig": f"{_MODULE}.StackConfig",
            "AutoModelForCausalLM": f"{_MODULE}.{_MODEL}",
        },
        "family": stored.config["model_type"],
        "route": layer_path.model_dump(mode="json"),
    }
    # The engine for data flow runs the same class: what is served is what was scored.
    code = resources.files("evomerge.engines").joinpath("stack_model.py")
    files = {f"{_MODULE}.py": code.read_text(encoding="utf-8")}
    return replace(stored.configured(config), files=files)
