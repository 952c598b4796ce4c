"""The sizes in a model's configuration, held against its tensors before anything relies on them.

An engine allocates what config.json says. A model of two layers whose configuration says a thousand
million would take all memory before anything is found wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.faults import describe
from evomerge.models.architecture import is_positional, parts_of

__all__ = ["LAYER_COUNTS", "check_sizes", "language_part"]

LAYER_COUNTS = ("num_hidden_layers", "n_layer", "num_layers")
"""The keys that configurations have for the number of layers."""
_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "n_embd",
    "n_head",
    "n_inner",
)
"""Sizes that some tensor has as a side, or more than that: none is beyond the longest side."""
_ROWS = "vocab_size"
_MOST = 2**31 - 1
_SLACK = 8
"""So many times larger than the tensors' a size may be."""


def language_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a configuration says of the language model: its `text_config`, or all of it."""
    part: Mapping[str, Any] | None = config.get("text_config")
    return config if part is None else part


def check_sizes(
    path: Path, config: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]]
) -> None:
    """The configuration says no size that the tensors have not.

    Args:
        path: the configuration's file, for messages.
        tensors: name -> shape.

    Raises:
        SourceError: a size is no whole number, or larger than any that the tensors have.
    """
    _check_kinds(path, config)
    longest = max((side for shape in tensors.values() for side in shape), default=0)
    rows = [shape[0] for name, shape in tensors.items() if shape and _has_rows(name)]
    layers = 1 + max((_layer(name) for name in tensors), default=-1)
    for part in (config, language_part(config)):
        for key in (*_SIZES, _ROWS, *LAYER_COUNTS):
            value = part.get(key)
            if value is None:
                continue
            if isinstance(value, list) and value and key in _SIZES:  # one for each layer
                value = max(value) if all(type(own) is int for own in value) else value
            if type(value) is not int or not 0 <= value <= _MOST:
                raise SourceError(f"{path}: {key}: must be a whole number, got {describe(value)}")
            if key in LAYER_COUNTS:
                most, what = layers, "the tensors are of {} layers"
            elif key == _ROWS and rows:
                most, what = max(rows), "the embedding has {} rows"
            else:
                most, what = longest, "no tensor has a side longer than {}"
            # Padded and fused matrices are larger than the sizes that they are of, or smaller.
            slack = 1 if key in LAYER_COUNTS else _SLACK
            if most and value > slack * most:
                raise SourceError(f"{path}: {key} is {value}, but {what.format(most)}")


def _check_kinds(path: Path, config: Mapping[str, Any]) -> None:
    """Keys that decide how the configuration is read."""
    part = language_part(config)
    if not isinstance(part, Mapping):
        raise SourceError(f"{path}: text_config: must be a mapping, got {describe(part)}")
    kinds = part.get("layer_types")
    if kinds is not None and not (
        isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)
    ):
        raise SourceError(f"{path}: layer_types: must be a list of names")
    for key in ("rope_parameters", "rope_scaling"):
        for value in (config.get(key), part.get(key)):
            if value is not None and not isinstance(value, Mapping):
                raise SourceError(f"{path}: {key}: must be a mapping, got {describe(value)}")
    for key in ("model_type", "dtype", "torch_dtype"):
        value = config.get(key)
        if value is not None and not isinstance(value, str):
            raise SourceError(f"{path}: {key}: must be text, got {describe(value)}")


def _layer(name: str) -> int:
    layer = parts_of(name).layer
    return -1 if layer is None else layer


def _has_rows(name: str) -> bool:
    at = parts_of(name)
    return at.layer is None and at.component == "embedding" and not is_positional(name)
