"""The types of stored tensors, as torch has them."""

from __future__ import annotations

import torch

__all__ = ["DTYPES", "NAMES"]

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""How safetensors spells them. What is missing here (float8, packed formats) is not merged."""

NAMES = {dtype: name for name, dtype in DTYPES.items()}
