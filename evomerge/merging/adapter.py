"""LoRA adapters, read as low-rank changes of named weights."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from evomerge.errors import SourceError
from evomerge.merging.finite import is_finite
from evomerge.models.adapter_headers import WEIGHTS, read_adapter_inventory
from evomerge.operators.low_rank import LowRank

__all__ = ["read_adapter"]


def read_adapter(folder: Path) -> dict[str, LowRank]:
    """Weight name -> its low-rank change.

    Raises:
        SourceError: not a LoRA adapter in safetensors, or a variant that changes more than B A.
    """
    changes = read_adapter_inventory(folder).changes
    low_rank = {}
    with safe_open(folder / WEIGHTS, framework="pt", device="cpu") as file:
        for name, info in changes.items():
            a, b = (file.get_tensor(key).float() for key in (info.a, info.b))
            if not is_finite(a) or not is_finite(b):
                raise SourceError(
                    f"{folder / WEIGHTS}: the factors of {name.removesuffix('.weight')!r} are not"
                    " finite"
                )
            low_rank[name] = LowRank(a, b, info.scale)
    return low_rank
