"""What a stack's configuration says: every key that counts or lists layers follows the hops.

Of families that the engines for data flow run (Llama's shape) it is known; of all others it is
learned from transformers, which builds the stack without weights (`meta_layers.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.familiar import unfamiliar
from evomerge.models.learned import learned
from evomerge.models.sizes import LAYER_COUNTS, language_part

__all__ = ["routable", "stack_settings", "with_changes"]

# It imports transformers; `learned` says in which process.
_STACKED = "evomerge.models.meta_layers:stacked"


@cache
def routable() -> tuple[str, ...]:
    """The families (`model_type`) that engines for data flow know: a decoder of Llama's shape, in
    which every layer attends in the same way.

    They are listed in the file that is exported with a stack, which stands alone and needs torch:
    so the list is read, and the file not imported.
    """
    code = ast.parse(resources.files("evomerge.engines").joinpath("stack_model.py").read_text())
    for statement in code.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "FAMILIES":
            families: tuple[str, ...] = ast.literal_eval(statement.value)
            return families
    raise AssertionError("stack_model.py lists its FAMILIES")


def stack_settings(
    donor: str,
    configs: Mapping[str, Mapping[str, Any]],
    hops: Sequence[tuple[str, int]],
    first_layer: str,
) -> dict[str, Any]:
    """The donor's configuration, changed to that of the stack.

    Args:
        donor: which of the `configs` (by input) the stack takes.
        hops: the input and the layer of each.
        first_layer: the checkpoint name of a tensor in the donor's first layer.

    Raises:
        SourceError: the configuration cannot say it, or transformers does not know the class; the
            sentence begins with what is said of the stack.
    """
    config = configs[donor]
    if reason := unfamiliar(config):
        raise SourceError(f"a stack of {_called(config)}: {reason}")
    if config.get("model_type") in routable():
        return _plain(config, configs, hops)
    request = {
        "donor": donor,
        "configs": {name: dict(own) for name, own in configs.items()},
        "hops": [list(hop) for hop in hops],
        "layers": first_layer,
    }
    known = learned(_STACKED, request)
    if "refused" in known:
        raise SourceError(f"a stack of {_called(config)}: {known['refused']}")
    return with_changes(config, known["changes"])


def with_changes(config: Mapping[str, Any], changes: Any) -> dict[str, Any]:
    """The configuration with other values for some keys.

    Args:
        changes: pairs of where a part of it stands and the part's keys: `[["text_config"], {...}]`.
    """
    made = dict(config)
    for path, keys in changes:
        part = made
        for key in path:
            part[key] = dict(part.get(key) or {})
            part = part[key]
        part |= keys
    return made


def _plain(
    config: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    hops: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """Of a family in which nothing but the count and `layer_types` speaks of layers."""
    part = language_part(config)
    made: dict[str, Any] = {key: len(hops) for key in LAYER_COUNTS if key in part}
    if "layer_types" in part:
        kinds = [
            kind
            for name, layer in hops
            for kind in (language_part(configs[name]).get("layer_types") or ())[layer : layer + 1]
        ]
        # None: the family's default.
        made["layer_types"] = kinds if len(kinds) == len(hops) else None
    return with_changes(config, [[[] if part is config else ["text_config"], made]])


def _called(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or [config.get("model_type")])[0])
