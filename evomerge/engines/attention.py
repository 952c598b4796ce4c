"""Grouped-query attention for one new token, without a copy of the keys for every query head.

The library repeats keys and values before a masked attention. With one query token a head, the
heads that share keys can stand in the query dimension instead: the same sums, no copy.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["GROUPED"]

GROUPED = "evomerge_grouped"
"""The name to give to `set_attn_implementation`."""


def _grouped(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """query (batch, heads, new, size), key and value (batch, groups, seen, size)."""
    batch, heads, new, size = query.shape
    groups = key.shape[1]
    by_head = others.get("position_bias") is not None or (
        attention_mask is not None and attention_mask.shape[1] > 1
    )
    if new > 1 or groups == heads or by_head:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return output, None
    rows = query.reshape(batch, groups, heads // groups, size)
    mixed = scaled_dot_product_attention(rows, key, value, attention_mask, scale=scaling)
    return mixed.reshape(batch, 1, heads, -1), None


AttentionInterface.register(GROUPED, _grouped)
AttentionMaskInterface.register(GROUPED, sdpa_mask)
