"""Where the parents' weights lie while they are merged: mapped from disk, or on an accelerator."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

__all__ = ["DeviceCache"]

RESERVE = 2 << 30
"""Bytes of an accelerator's memory that are left to what a merge takes in between."""


class DeviceCache:
    """Tensors on a device: kept there as far as they fit, else sent again from pinned memory."""

    def __init__(self, device: torch.device, room: int | None = None) -> None:
        """`room`: bytes that may be kept; what is free now, less a reserve, where left out."""
        self.device = device
        self._room = _free(device) if room is None else room
        self._kept: dict[Hashable, Tensor] = {}
        self._pinned: dict[Hashable, Tensor] = {}

    @property
    def nbytes(self) -> int:
        """What the tensors take that are kept on the device."""
        return sum(tensor.nbytes for tensor in self._kept.values())

    def placed(self, key: Hashable, tensor: Tensor) -> Tensor:
        """The tensor on the device; not to be changed. On the CPU it is the one that was given."""
        if self.device.type == "cpu":
            return tensor
        if key in self._kept:
            return self._kept[key]
        if tensor.nbytes <= self._room:
            self._room -= tensor.nbytes
            self._kept[key] = tensor.to(self.device)
            return self._kept[key]
        if key not in self._pinned:
            pins = self.device.type == "cuda"
            self._pinned[key] = tensor.pin_memory() if pins else tensor
        return self._pinned[key].to(self.device, non_blocking=True)


def _free(device: torch.device) -> int:
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return max(free - RESERVE, 0)
