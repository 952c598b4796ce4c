"""What a tensor is, its values left aside: type, shape, bytes; and which types are merged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evomerge.errors import ConfigError, did_you_mean

__all__ = ["FLOATS", "WIDTHS", "TensorInfo", "TensorSpec", "stored_type"]

WIDTHS = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Bytes of an element, by safetensors' name of the type; other types are not merged."""

FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
"""What arithmetic is done on; a tensor of another type is a buffer, and is copied."""

_BY_TORCH = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's file, dtype as safetensors spells it (`BF16`), and shape."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    stored: str | None = None
    """Its name in the file, where that is an older one."""


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor will be: checkpoint name, type as safetensors spells it (`BF16`), shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.elements * WIDTHS[self.dtype]


def stored_type(dtype: str) -> str:
    """How safetensors spells a floating type of torch: `BF16` for `bfloat16`.

    Raises:
        ConfigError: it is none that a model is written in.
    """
    if dtype not in _BY_TORCH:
        known = ", ".join(_BY_TORCH)
        raise ConfigError(
            f"dtype: a model is written in one of {known}; {did_you_mean(dtype, _BY_TORCH)}"
        )
    return _BY_TORCH[dtype]
