"""What transformers knows of a configuration: its class, built on the meta device without weights.

`learned.py` asks it in a process of its own where the driver has no torch. A class of transformers
is built, never one that a repository brings along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
import transformers
from torch import nn
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    PrefixChange,
    WeightConverter,
    WeightRenaming,
    rename_source_key,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_MAPPING
from transformers.pytorch_utils import Conv1D

from evomerge.errors import SourceError

__all__ = ["as_saved", "build", "describe", "loaded_names"]

_OWN_CODE = "it needs code of its own, which is not run"


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of `config` and of the checkpoint names `stored`; `unknown`: why there are none."""
    try:
        model = build(request["config"])
    except SourceError as problem:
        return {"unknown": str(problem)}
    state = model.state_dict()
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return {
        "names": sorted(state),
        "saved": _saved(model, state),
        "loaded": loaded_names(model, request["stored"]),
        "buffers": sorted(state.keys() - parameters),
        "unsaved_buffers": sorted({name for name, _ in model.named_buffers()} - state.keys()),
        "tied": dict(sorted(model.all_tied_weights_keys.items())),
        "settings": _plain(model.config.to_dict()),
        "transposed": sorted(
            f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)
        ),
    }


def build(config: Mapping[str, Any]) -> Any:
    """The model of a `config.json` on the meta device.

    Raises:
        SourceError: transformers has no such class, or cannot build it of these settings.
    """
    with _silence():
        return _built(config)


def _built(config: Mapping[str, Any]) -> Any:
    settings = _settings_of(config)
    named = (config.get("architectures") or [None])[0]
    kind: Any = getattr(transformers, str(named), None)
    if kind is None and named is not None:
        why = _OWN_CODE if config.get("auto_map") else "transformers has no such class"
        raise SourceError(f"the architecture {named!r}: {why}")
    if kind is None:
        for known in (MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_MAPPING):
            kind = kind or known.get(type(settings), None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise SourceError(f"the model type {config.get('model_type')!r}: no class of a model")
    try:
        with torch.device("meta"):
            return kind(settings)
    except Exception as problem:
        raise SourceError(f"{named}: transformers cannot build it: {_said(problem)}") from problem


@contextmanager
def _silence() -> Iterator[None]:
    """What transformers has to say of a configuration, it says where the model is loaded."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


def _settings_of(config: Mapping[str, Any]) -> Any:
    """The configuration as transformers reads it.

    Raises:
        SourceError: it knows no such model type, or refuses the settings.
    """
    family = config.get("model_type")
    if not isinstance(family, str) or family not in CONFIG_MAPPING:
        why = _OWN_CODE if config.get("auto_map") else "transformers has no such type"
        raise SourceError(f"the model type {family!r}: {why}")
    try:
        given = {key: value for key, value in config.items() if key != "quantization_config"}
        return CONFIG_MAPPING[family].from_dict(_with_infinity(given))
    except Exception as problem:
        raise SourceError(f"the model type {family!r}: {_said(problem)}") from problem


def _with_infinity(value: Any) -> Any:
    """A configuration's values; transformers writes infinity as `{"__float__": "Infinity"}`."""
    match value:
        case {"__float__": str() as number} if len(value) == 1:
            return float(number)
        case dict():
            return {key: _with_infinity(own) for key, own in value.items()}
        case list():
            return [_with_infinity(own) for own in value]
        case _:
            return value


def _saved(model: Any, state: Mapping[str, Any]) -> dict[str, list[str]]:
    """Each tensor's checkpoint names as `save_pretrained` writes them."""
    saved: dict[str, list[str]] = {}
    for names, written in as_saved(model, state):
        saved |= dict.fromkeys(names, sorted(written))
    return saved


def as_saved(model: Any, state: Mapping[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """(memory names, the tensors that `save_pretrained` makes of them by their checkpoint names).

    Args:
        state: memory name -> tensor, of the whole model or of a part.
    """
    forward = get_model_conversion_mapping(model, add_legacy=False)
    back = [own.reverse_transform() for own in forward[::-1] if not isinstance(own, PrefixChange)]
    renamings = [own for own in back if isinstance(own, WeightRenaming)]
    converters = [own for own in back if isinstance(own, WeightConverter)]
    by_pattern = {pattern: own for own in converters for pattern in own.source_patterns}
    groups: dict[str, Any] = {}
    members: dict[str, list[str]] = {}
    for name, value in state.items():
        renamed, pattern = rename_source_key(name, renamings, converters, reverse=True)
        if pattern is None:
            group = groups.setdefault(renamed, WeightRenaming(name, renamed))
            pattern = name
        else:
            group = groups.setdefault(renamed, deepcopy(by_pattern[pattern]))
        group.add_tensor(renamed, name, pattern, value)
        members.setdefault(renamed, []).append(name)
    for renamed, group in groups.items():
        yield members[renamed], group.convert(renamed, model=model, config=model.config)


def loaded_names(model: Any, stored: Sequence[str]) -> dict[str, str | None]:
    """Checkpoint name -> the tensor that `from_pretrained` reads it into; None: none."""
    state = model.state_dict()
    mapping = get_model_conversion_mapping(model)
    renamings = [own for own in mapping if isinstance(own, WeightRenaming)]
    converters = [own for own in mapping if isinstance(own, WeightConverter)]
    prefix = model.base_model_prefix
    read: dict[str, str | None] = {}
    for name in stored:
        renamed, _ = rename_source_key(name, renamings, converters, prefix, state)
        if renamed not in state and name in state:  # its own name after all
            renamed, _ = rename_source_key(name, [], [], prefix, state)
        read[name] = renamed if renamed in state else None
    return read


def _plain(value: Any) -> Any:
    """As JSON has it; what JSON has not is left to its text."""
    match value:
        case dict():
            return {str(key): _plain(own) for key, own in value.items()}
        case list() | tuple() | set():
            return [_plain(own) for own in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _said(problem: Exception) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
