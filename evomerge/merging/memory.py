"""Memory for results, found again once it is freed; and freed memory given back."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["empty", "give_back"]


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of any content.

    On a CPU it is NumPy's memory: a plain `malloc`, which finds a chunk of the same size again.
    torch asks for aligned memory, for which glibc wants more room than such a chunk has. And NumPy
    has large arrays lie in huge pages. A page that is new has to be cleared by the kernel, and
    clearing 4 KiB at a time takes longer than the arithmetic.
    """
    if device.type != "cpu":
        return torch.empty(tuple(shape), dtype=dtype, device=device)
    count = math.prod(shape)
    if count == 0:
        return torch.empty(tuple(shape), dtype=dtype)
    memory = torch.from_numpy(np.empty(count * dtype.itemsize, np.uint8))
    return memory.view(dtype).view(tuple(shape))


def give_back() -> None:
    """Return freed memory to the system, also from between what is in use.

    glibc alone returns the end of its heap, and tensors of many sizes leave holes before that.
    Elsewhere than on glibc nothing happens.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
