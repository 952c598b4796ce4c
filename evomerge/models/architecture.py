"""Where a tensor sits, read from its checkpoint name."""

from __future__ import annotations

import re
from functools import cache

from evomerge.recipe.selector import Component, Place

__all__ = ["in_layer", "place", "within_layer"]

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|layer)\.([0-9]{1,6})\.")
_COMPONENTS: tuple[tuple[Component, re.Pattern[str]], ...] = (
    (
        "norm",
        re.compile(r"(?:^|[._])(?:layer_?|input_|final_|[qk]_)?(?:norm|layernorm|ln_\w+|ln)[._]"),
    ),
    ("attention", re.compile(r"\.(?:self_attn|attn|attention|self_attention)\.")),
    ("mlp", re.compile(r"\.(?:mlp|feed_forward|ffn|block_sparse_moe)\.")),
    ("embedding", re.compile(r"(?:^|\.)(?:embed_tokens|wte|wpe|word_embeddings|embed_in)\.")),
    ("head", re.compile(r"(?:^|\.)(?:lm_head|embed_out|score)\.")),
)


@cache
def place(name: str) -> Place:
    """The layer and component of a tensor; norms count as norms wherever they stand."""
    layer = _LAYER.search(name)
    component = next((c for c, pattern in _COMPONENTS if pattern.search(name)), None)
    return Place(int(layer[1]) if layer else None, component, name)


def in_layer(name: str, layer: int) -> str:
    """The name that a layer's tensor has in another layer."""
    match = _LAYER.search(name)
    return name if match is None else f"{name[: match.start(1)]}{layer}{name[match.end(1) :]}"


def within_layer(name: str) -> str:
    """The part of a tensor's name that does not change with the layer: `.mlp.up_proj.weight`."""
    match = _LAYER.search(name)
    return name if match is None else name[match.end(1) :]
