"""What a tensor's checkpoint name says of its place: layer, tower, component, expert.

Names alone are read, never a library: a recipe then means the same with any version of transformers
and with none. `tests/models/test_architecture.py` holds what is read here against the classes of
transformers. What only the whole model tells is in `anatomy.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from evomerge.recipe.selector import Component, Tower

__all__ = [
    "NameParts",
    "component_of",
    "in_layer",
    "is_positional",
    "parts_of",
    "within_layer",
    "words_of",
]

_LISTS = frozenset({"layers", "layer", "h", "blocks", "block"})
"""Modules that number a tower's layers."""

_TOWERS: tuple[tuple[Tower, frozenset[str]], ...] = (
    ("vision", frozenset({"vision", "visual", "image", "vit"})),
    ("audio", frozenset({"audio", "speech"})),
    ("decoder", frozenset({"decoder", "language"})),
    ("text", frozenset({"text"})),
    ("encoder", frozenset({"encoder"})),
)
"""Tower -> words in the names of its modules; the first that is found decides."""

_ATTENTION = frozenset({"attn", "attention", "selfattention", "mha"})
_MIXER = frozenset({"mixer", "mamba", "ssm", "recurrent"})
_MIXERS = frozenset({"linear_attn", "conv", "short_conv"})
"""Whole modules of a layer that mix tokens without attention: a gated delta rule, a convolution."""
_MLP = frozenset({"mlp", "ffn", "ff", "fc", "feedforward", "moe"})
_MLPS = frozenset({"intermediate", "output", "linear1", "linear2"})
"""Whole modules of a layer that are its MLP where they are not inside its attention."""
_EMBEDDING = frozenset({"embed", "embedding", "embeddings", "embedder", "wte", "wpe", "shared"})
_HEADS = frozenset({"lm_head", "embed_out", "score", "classifier", "cls", "qa_outputs", "proj_out"})
"""Whole modules outside the layers that are a head."""
_POSITION = frozenset({"wpe", "position", "positions", "positional", "pos"})
_ROTARY = frozenset({"rotary", "rope", "inv"})


@dataclass(frozen=True)
class NameParts:
    """A checkpoint name, taken apart."""

    container: tuple[str, ...] | None
    """The modules around the list of layers, with the list's own name; None outside the layers."""
    layer: int | None
    tower: Tower | None
    """As far as the name says it."""
    component: Component | None
    expert: int | None


@cache
def parts_of(name: str) -> NameParts:
    """The parts of a tensor's name; norms count as norms wherever they stand."""
    segments = name.split(".")
    at = _list(segments)
    if at is None:
        inside, container, layer = segments, None, None
    else:
        inside, container, layer = segments[at + 1 :], tuple(segments[:at]), int(segments[at])
    component = component_of(inside, in_layer=at is not None)
    tower = _tower(segments if at is None else segments[:at])
    expert = _expert(inside) if component == "expert" else None
    return NameParts(container, layer, tower, component, expert)


def in_layer(name: str, layer: int) -> str:
    """The name that a layer's tensor has in another layer."""
    segments = name.split(".")
    at = _list(segments)
    return name if at is None else ".".join([*segments[:at], str(layer), *segments[at + 1 :]])


def within_layer(name: str) -> str:
    """The part of a tensor's name that does not change with the layer: `.mlp.up_proj.weight`."""
    segments = name.split(".")
    at = _list(segments)
    return name if at is None else "." + ".".join(segments[at + 1 :])


def is_positional(name: str) -> bool:
    """Whether an embedding is one of positions, whose rows are no tokens."""
    return any(word in _POSITION for segment in name.split(".") for word in words_of(segment))


def _list(segments: Sequence[str]) -> int | None:
    """Where the layer's number stands: in the outermost list of layers, unless that is itself in a
    numbered part (the stages of a hierarchy), whose layers no configuration counts."""
    for at, segment in enumerate(segments):
        if segment.isdecimal():
            counts = at and at + 1 < len(segments) and len(segment) < 7
            return at if counts and segments[at - 1] in _LISTS else None
    return None


@cache
def words_of(segment: str) -> tuple[str, ...]:
    """The words in a module's name, in small letters and without numbers at their ends:
    `EncDecAttention` -> enc, dec, attention; `layer_norm1` -> layer, norm."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", segment)
    return tuple(word.lower().rstrip("0123456789") for word in apart.split("_") if word)


def _tower(segments: Sequence[str]) -> Tower | None:
    words = {word for segment in segments for word in words_of(segment)}
    return next((tower for tower, theirs in _TOWERS if words & theirs), None)


def _expert(inside: Sequence[str]) -> int | None:
    for list_, number in pairwise(inside):
        if "experts" in words_of(list_) and number.isdecimal():
            return int(number)
    return None


def component_of(inside: Sequence[str], *, in_layer: bool) -> Component | None:
    """The component that module names tell: those after the layer's number, or all of them outside
    the layers."""
    modules = [segment for segment in inside if not segment.isdecimal()]
    words = [words_of(module) for module in modules]
    every = {word for own in words for word in own}
    if any(word.endswith("norm") or word == "ln" for word in every):
        return "norm"
    if every & _ROTARY:
        return None
    if any("experts" in own and "shared" not in own for own in words):
        return "router" if "router" in every else "expert"
    in_mlp = any(_is_mlp(own) for own in words)
    if {"router", "shared_expert_gate"} & set(modules) or (in_mlp and "gate" in modules):
        return "router"
    if any(_is_cross(own) for own in words):
        return "cross_attention"
    if every & _MIXER or (in_layer and _MIXERS & set(modules[:1])):
        return "mixer"
    if every & _ATTENTION:
        return "attention"
    if in_mlp or (in_layer and _MLPS & set(modules)):
        return "mlp"
    return None if in_layer else _outside(modules, every)


def _is_mlp(words: Sequence[str]) -> bool:
    """`mlp`, `block_sparse_moe`, `fc1`, `feed_forward`, `DenseReluDense`."""
    run = "_".join(words)
    return bool(_MLP & set(words)) or "feed_forward" in run or words.count("dense") > 1


def _is_cross(words: Sequence[str]) -> bool:
    """`crossattention`, `encoder_attn`, `EncDecAttention`: attention to an encoder."""
    own = set(words)
    if "crossattention" in own:
        return True
    return bool(own & _ATTENTION) and bool(own & {"cross", "encoder", "enc"})


def _outside(modules: Sequence[str], words: set[str]) -> Component | None:
    """What is neither in a layer nor a part of what layers consist of."""
    first = modules[0] if modules else ""
    # An encoder's head may be called the decoder: a matrix and a bias, and nothing below.
    if _HEADS & set(modules) or first.endswith("head") or modules[:-1] == ["decoder"]:
        return "head"
    return "embedding" if words & _EMBEDDING else None
