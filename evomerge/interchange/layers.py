"""Which tensors mergekit takes from where, as it tells by their names."""

from __future__ import annotations

__all__ = ["is_embedding"]


def is_embedding(name: str) -> bool:
    """Whether mergekit takes the tensor from the first slice."""
    return "embed" in name or ".wte." in name
