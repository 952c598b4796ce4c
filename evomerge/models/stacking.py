"""Which models' layers can be stacked, and which of those an engine can route live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.blueprint import donor
from evomerge.models.familiar import unfamiliar
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory
from evomerge.models.stack_settings import routable
from evomerge.recipe.tree import Stack

__all__ = ["check_routable", "check_stackable", "is_plain", "rotary"]

_MISTRALS = 4096
"""The window of a Mistral model whose configuration does not speak of one."""

_SAME: Mapping[str, Any] = {
    "model_type": None,
    "hidden_size": None,
    "head_dim": None,
    "num_attention_heads": None,
    "num_key_value_heads": None,
    "intermediate_size": None,
    "hidden_act": None,
    "rms_norm_eps": None,
    "tie_word_embeddings": False,
}
"""What one configuration has to say for all layers, and what it means where it is left out."""


def check_stackable(first: Inventory, other: Inventory, origin: str) -> None:
    """Layers of one model can run between those of the other: sizes, heads and rotary settings.

    Raises:
        SourceError: they differ where they may not.
    """
    for key, default in _SAME.items():
        value, second = first.config.get(key, default), other.config.get(key, default)
        if value != second:
            raise _differ(origin, key, first, other, value, second)
    value, second = rotary(first.config), rotary(other.config)
    if value != second:
        raise _differ(origin, "rotary settings", first, other, value, second)
    mine, theirs = _layer(first), _layer(other)
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            key = f"the shape of {name}"
            raise _differ(origin, key, first, other, mine.get(name), theirs.get(name))


def _layer(inventory: Inventory) -> dict[str, list[int]]:
    """The first layer's tensors: name -> shape."""
    return {
        at.name: list(inventory.tensors[at.name].shape)
        for at in inventory.anatomy.places
        if at.layer == 0 and at.main
    }


def rotary(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary settings of a configuration, in whichever of transformers' spellings."""
    settings = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    settings.setdefault("rope_theta", config.get("rope_theta", 10_000.0))
    settings.setdefault("rope_type", settings.pop("type", "default"))
    return settings


def check_routable(stack: Stack, models: Headers | None = None) -> None:
    """An engine can run the stack's layers in any order: the engines' own law, read from a header.

    Raises:
        SourceError: it is of a family, or has layers, that none of them knows.
    """
    inventory = (models or Headers()).inventory(donor(stack))
    config = inventory.config
    family = config.get("model_type")
    if family not in routable():
        raise SourceError(
            f"{inventory.folder}: layers of the family {family!r} cannot be routed, only of"
            f" {', '.join(routable())}"
        )
    if reason := unfamiliar(config):
        raise SourceError(f"{inventory.folder}: {reason}; its layers cannot be routed")
    always = family == "mistral"  # which has a window unless its configuration says null
    window = config.get("sliding_window", _MISTRALS if always else None)
    slides = window is not None and config.get("use_sliding_window", always)
    if slides or set(config.get("layer_types") or ()) - {"full_attention"}:
        raise SourceError(
            f"{inventory.folder}: layers with sliding windows, or of several kinds,"
            " cannot be routed"
        )


def is_plain(stack: Stack) -> bool:
    """Whether an ordinary checkpoint can hold the stack: every scale is 1."""
    return all(hop.scale == 1.0 for hop in stack.hops)


def _differ(
    origin: str, key: str, first: Inventory, other: Inventory, value: object, second: object
) -> SourceError:
    return SourceError(
        f"{origin}: the stack's inputs differ in {key}: {first.folder} has {value}, {other.folder}"
        f" has {second}; layers can only run among those of a like shape"
    )
