"""Whether a model's head is its embedding: one matrix, stored once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evomerge.models.architecture import is_positional, parts_of
from evomerge.models.sizes import language_part
from evomerge.models.tensor_types import TensorInfo
from evomerge.models.weight_files import is_of_diffusers

__all__ = ["KEY", "follows_embedding", "is_embedding", "is_head", "stored_heads"]

KEY = "tie_word_embeddings"
_WITH_HEAD = re.compile(r"ForCausalLM|LMHead|ForMaskedLM|ForConditionalGeneration|ForPreTraining")
"""Classes that put out a number for each token."""


def follows_embedding(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether a change of the embedding is one of the head, in a model with these tensors.

    A configuration that leaves the key out means what its class does by default: a head that is
    not stored is then the embedding.
    """
    classes = config.get("architectures")
    named = str(classes[0]) if isinstance(classes, list) and classes else None
    if (named is not None and not _WITH_HEAD.search(named)) or is_of_diffusers(config):
        return False
    said = config.get(KEY, language_part(config).get(KEY))
    return not any(is_head(name) for name in tensors) if said is None else bool(said)


def stored_heads(tensors: Mapping[str, TensorInfo]) -> dict[str, str]:
    """Matrix of a head that is stored -> the embedding of its shape."""
    by_shape = {
        info.shape: name
        for name, info in sorted(tensors.items())
        if is_embedding(name) and not is_positional(name)
    }
    return {
        name: by_shape[info.shape]
        for name, info in sorted(tensors.items())
        if is_head(name) and info.shape in by_shape
    }


def is_head(name: str) -> bool:
    """Whether it is a matrix of the head, by its name."""
    at = parts_of(name)
    return at.layer is None and at.component == "head" and name.endswith(".weight")


def is_embedding(name: str) -> bool:
    """Whether it is an embedding before the layers, by its name."""
    at = parts_of(name)
    return at.layer is None and at.component == "embedding" and name.endswith(".weight")
