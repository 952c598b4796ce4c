"""LoRA adapters, read as low-rank changes of named weights."""

from __future__ import annotations

from pathlib import Path

from evomerge.errors import SourceError
from evomerge.merging.finite import is_finite
from evomerge.merging.tensor_files import tensors_in
from evomerge.models.adapter_compatibility import check_fits
from evomerge.models.adapter_headers import WEIGHTS, read_adapter_inventory
from evomerge.models.adapter_names import on_model
from evomerge.models.inventory import Inventory
from evomerge.operators.low_rank import LowRank

__all__ = ["read_adapter"]


def read_adapter(folder: Path, model: Inventory | None = None) -> dict[str, LowRank]:
    """Weight name -> its low-rank change.

    Args:
        model: what the adapter has to fit; None: nothing.

    Raises:
        SourceError: not a LoRA adapter in safetensors, a setting makes the change another than
            s B A, or it does not fit the model.
    """
    adapter = read_adapter_inventory(folder)
    if model is not None:
        adapter = on_model(adapter, model)
        check_fits(adapter, model)
    changes = adapter.changes
    low_rank = {}
    with tensors_in(folder / WEIGHTS) as file:
        for name, info in changes.items():
            a, b = (file.get_tensor(key).float() for key in (info.a, info.b))
            if not is_finite(a) or not is_finite(b):
                raise SourceError(
                    f"{folder / WEIGHTS}: the factors of {name.removesuffix('.weight')!r} are not"
                    " finite"
                )
            # The weight lies transposed: (B A)^T = A^T B^T.
            a, b = (b.T.contiguous(), a.T.contiguous()) if info.transposed else (a, b)
            low_rank[name] = LowRank(a, b, info.scale)
    return low_rank
