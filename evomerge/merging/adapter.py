"""LoRA adapters, read as changes of named weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.finite import is_finite
from evomerge.merging.tensor_files import tensors_in
from evomerge.models.adapter_compatibility import check_fits
from evomerge.models.adapter_headers import WEIGHTS, read_adapter_inventory
from evomerge.models.adapter_names import on_model
from evomerge.models.inventory import Inventory
from evomerge.operators.low_rank import LowRank

__all__ = ["Change", "Dora", "add_to", "parts", "read_adapter"]


@dataclass(frozen=True)
class Dora:
    """A change after which the weight's rows have the norms m (Liu et al., ICML 2024, eq. 5):
    W' = m (W + s B A) / ||W + s B A||.
    """

    change: LowRank
    magnitude: Tensor
    """(out,) m, float32."""
    transposed: bool
    """Whether the weight lies as (in, out)."""

    def to(self, device: torch.device) -> Dora:
        """The same on a device."""
        return Dora(self.change.to(device), self.magnitude.to(device), self.transposed)


Change = LowRank | Dora
"""What an adapter makes of one weight."""


def add_to(change: Change, weight: Tensor) -> None:
    """Change a weight in place, in float32."""
    if isinstance(change, LowRank):
        change.add_to(weight, 1.0)
        return
    change.change.add_to(weight, 1.0)
    rows = weight.T if change.transposed else weight
    rows *= (change.magnitude / torch.linalg.norm(rows, dim=1))[:, None]


def parts(change: Change) -> list[Tensor]:
    """The tensors that a change is made of."""
    if isinstance(change, LowRank):
        return [change.a, change.b, torch.tensor(change.scale)]
    return [*parts(change.change), change.magnitude]


def read_adapter(folder: Path, model: Inventory | None = None) -> dict[str, Change]:
    """Weight name -> its change.

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
    read: dict[str, Change] = {}
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
            low_rank = LowRank(a, b, info.scale)
            read[name] = low_rank
            if info.magnitude:
                magnitude = file.get_tensor(info.magnitude).float()
                if not is_finite(magnitude):
                    raise SourceError(f"{folder / WEIGHTS}: {info.magnitude!r} is not finite")
                read[name] = Dora(low_rank, magnitude, info.transposed)
    return read
