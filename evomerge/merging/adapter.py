"""LoRA adapters, read as changes of named weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.finite import is_finite
from evomerge.merging.steps import Change, Copy, Experts, Matrix, Norms, Rows, Step, Steps, Sum
from evomerge.merging.tensor_files import tensors_in
from evomerge.models.adapter_changes import ChangeInfo, CopyInfo, FactorInfo, RowsInfo, SumInfo
from evomerge.models.adapter_compatibility import check_fits
from evomerge.models.adapter_headers import WEIGHTS, AdapterInventory, read_adapter_inventory
from evomerge.models.adapter_names import on_model
from evomerge.models.inventory import Inventory
from evomerge.operators.low_rank import LowRank

__all__ = ["read_adapter"]


def read_adapter(folder: Path, model: Inventory | None = None) -> dict[str, Change]:
    """Weight name -> its change.

    Args:
        model: what the adapter has to fit; None: nothing.

    Raises:
        SourceError: not a LoRA adapter in safetensors, a setting makes the change another than one
            that is known, or it does not fit the model.
    """
    adapter = read_adapter_inventory(folder)
    if model is not None:
        adapter = on_model(adapter, model)
        check_fits(adapter, model)
    with tensors_in(folder / WEIGHTS) as file:
        return _Reader(adapter, file).changes()


@dataclass(frozen=True)
class _Reader:
    """Reads an adapter's tensors."""

    adapter: AdapterInventory
    file: Any

    def changes(self) -> dict[str, Change]:
        """Weight name -> its change: factors alone where it is that, else steps."""
        read: dict[str, Change] = {}
        for name in dict.fromkeys([*self.adapter.copies, *self.adapter.changes]):
            copy, info = self.adapter.copies.get(name), self.adapter.changes.get(name)
            steps: list[Step] = [] if copy is None else [self._copy(copy)]
            if copy is None and isinstance(info, FactorInfo) and not info.magnitude:
                factors = self._matrix(info)
                if factors is not None and len(info.shape) == 2:
                    read[name] = factors
                    continue
            if info is not None:
                steps.extend(self._steps(info))
            read[name] = Steps(tuple(steps))
        return read

    def _steps(self, info: ChangeInfo) -> Iterator[Step]:
        match info:
            case SumInfo():
                yield Sum(self._tensor(info.key), info.scale)
            case RowsInfo():
                yield Rows(torch.tensor(info.rows, dtype=torch.int64), self._tensor(info.key))
            case FactorInfo():
                factors = self._matrix(info)
                yield self._experts(info) if factors is None else Matrix(factors)
                if info.magnitude:
                    yield Norms(self._tensor(info.magnitude), info.transposed)

    def _copy(self, info: CopyInfo) -> Copy:
        tensor = self.file.get_tensor(info.key)
        self._check_finite(info.key, tensor)
        if info.part is not None:
            matrix = tensor[info.part.expert, slice(*info.part.rows), slice(*info.part.columns)]
            tensor = (matrix.T if info.part.turned else matrix).contiguous()
        return Copy(tensor)

    def _matrix(self, info: FactorInfo) -> LowRank | None:
        """The factors of a matrix, as it lies; None: they are of all experts."""
        if info.experts:
            return None if info.part is None else self._expert(info)
        a, b = (self._tensor(key).flatten(1) for key in (info.a, info.b))
        return self._as_it_lies(LowRank(a, b, info.scale), info.transposed)

    def _experts(self, info: FactorInfo) -> Experts:
        """left (experts, height, rank) and right (experts, rank, width) of s left right."""
        a, b = self._tensor(info.a), self._tensor(info.b)
        a = a.reshape(info.experts, -1, a.shape[1])
        b = b.reshape(len(b), -1, info.experts).permute(2, 0, 1)
        left, right = (a.transpose(1, 2), b.transpose(1, 2)) if info.transposed else (b, a)
        return Experts(left.contiguous(), right.contiguous(), info.scale)

    def _expert(self, info: FactorInfo) -> LowRank:
        assert info.part is not None, "asked before"
        every, part = self._experts(replace(info, part=None)), info.part
        b = every.left[part.expert, slice(*part.rows)].contiguous()
        a = every.right[part.expert, :, slice(*part.columns)].contiguous()
        return self._as_it_lies(LowRank(a, b, info.scale), part.turned)

    @staticmethod
    def _as_it_lies(change: LowRank, turned: bool) -> LowRank:
        """Where the weight lies transposed: (B A)^T = A^T B^T."""
        if not turned:
            return change
        return LowRank(change.b.T.contiguous(), change.a.T.contiguous(), change.scale)

    def _tensor(self, key: str) -> Tensor:
        tensor: Tensor = self.file.get_tensor(key).float()
        self._check_finite(key, tensor)
        return tensor

    def _check_finite(self, key: str, tensor: Tensor) -> None:
        if not is_finite(tensor):
            raise SourceError(f"{self.adapter.folder / WEIGHTS}: {key!r} is not finite")
