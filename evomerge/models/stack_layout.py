"""A stack as a model folder: each layer once, the path in the configuration, the code beside it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from evomerge.errors import RecipeError, about
from evomerge.models.headers import Headers
from evomerge.models.layout import Layout
from evomerge.models.outline import donor
from evomerge.models.stacking import check_routable, is_plain
from evomerge.recipe.layer_path import in_use
from evomerge.recipe.tree import Recipe, Stack

__all__ = ["layout_of"]

_MODULE = "modeling_evomerge_stack"
_MODEL = "EvomergeStackForCausalLM"


def layout_of(recipe: Recipe, *, folded: bool, origin: str) -> Layout | None:
    """How a recipe's model is written; None: as a plain checkpoint.

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
    config: dict[str, Any] = {
        "model_type": "evomerge_stack",
        "architectures": [_MODEL],
        "auto_map": {
            "AutoConfig": f"{_MODULE}.StackConfig",
            "AutoModelForCausalLM": f"{_MODULE}.{_MODEL}",
        },
        "family": Headers().inventory(donor(recipe)).config["model_type"],
        "route": layer_path.model_dump(mode="json"),
    }
    # The engine for data flow runs the same class: what is served is what was scored.
    code = files("evomerge.engines").joinpath("stack_model.py")
    return Layout(pool, config, {f"{_MODULE}.py": code.read_text(encoding="utf-8")})
