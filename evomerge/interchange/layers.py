"""Layers in checkpoint names, as mergekit's files count them."""

from __future__ import annotations

import re

__all__ = ["in_layer", "is_embedding", "kind", "layer_of"]

_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")
"""The first number between dots is the layer."""


def layer_of(name: str) -> int | None:
    """The layer of a tensor; None outside the layers."""
    match = _LAYER.search(name)
    return int(match[0]) if match else None


def in_layer(name: str, layer: int) -> str:
    """The name that a layer's tensor has in another layer."""
    return _LAYER.sub(str(layer), name, count=1)


def kind(name: str) -> str:
    """The part of a name that does not change with the layer."""
    match = _LAYER.search(name)
    return name[match.end() :] if match else name


def is_embedding(name: str) -> bool:
    """Whether mergekit takes the tensor from the first slice."""
    return "embed" in name or ".wte." in name
