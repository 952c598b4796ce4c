"""The header of a safetensors file: what it says is checked before anything relies on it.

The format: 8 bytes with the header's length, the header as JSON, then the tensors' bytes one after
the other without a gap (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.tensor_types import WIDTHS
from evomerge.reading.files import open_file
from evomerge.reading.json_text import parse_json

__all__ = ["header_length", "read_header"]

MOST = 32 << 20
"""Most bytes of a header: 200,000 tensors."""
LARGEST = 2**48
"""No side of a tensor is longer."""
_KEYS = {"dtype", "shape", "data_offsets"}


def read_header(path: Path) -> dict[str, Any]:
    """Tensor name -> dtype, shape and data_offsets, as the file has them.

    Raises:
        SourceError: the file is missing, truncated or no safetensors, or the header contradicts
            itself or the file's size.
    """
    with open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        length = _length(path, file.read(8), size)
        header = parse_json(file.read(length), origin=f"{path}: header")
    if not isinstance(header, dict):
        raise SourceError(f"{path}: the header is no mapping; not a safetensors file")
    header.pop("__metadata__", None)
    for name, info in header.items():
        if law := _fault(info):
            raise SourceError(f"{path}: the header's {_shown(name)}: {law}")
    _check_places(path, header, size - 8 - length)
    return header


def header_length(path: Path) -> int:
    """Bytes of the header, without the 8 before it; raises as `read_header`."""
    with open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        return _length(path, file.read(8), size)


def _length(path: Path, first: bytes, size: int) -> int:
    if len(first) < 8:
        raise SourceError(f"{path}: not a safetensors file, or truncated")
    (length,) = struct.unpack("<Q", first)
    if length > MOST:
        raise SourceError(
            f"{path}: not a safetensors file, or truncated: a header of {length:,} bytes"
        )
    if 8 + length > size:
        raise SourceError(f"{path}: not a safetensors file, or truncated within its header")
    return int(length)


def _fault(info: Any) -> str | None:
    """The law that an entry breaks."""
    if not isinstance(info, Mapping) or not info.keys() >= _KEYS:
        return "dtype, shape and data_offsets are wanted"
    shape, offsets = info["shape"], info["data_offsets"]
    if not isinstance(info["dtype"], str) or len(info["dtype"]) > 20:
        return "its dtype is not the name of a type"
    if not isinstance(shape, list) or not all(_is_count(side) for side in shape):
        return "its shape is not a list of whole numbers"
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        return "its data_offsets are not two whole numbers"
    taken = offsets[1] - offsets[0]
    if taken < 0:
        return f"its data ends before it begins (data_offsets {offsets})"
    width = WIDTHS.get(info["dtype"])
    if width is not None and taken != math.prod(shape) * width:
        return (
            f"{taken:,} bytes for a tensor of {math.prod(shape) * width:,}"
            f" (shape {shape}, {info['dtype']})"
        )
    return None


def _check_places(path: Path, header: Mapping[str, Any], size: int) -> None:
    """The tensors lie one after the other and fill the file; `size`: of the part after the header.

    Otherwise two might share bytes, or the file hold what nobody sees.
    """
    end = 0
    for name, info in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, end_of_this = info["data_offsets"]
        if first != end:
            raise SourceError(
                f"{path}: the header's {_shown(name)}: its data begins at {first}, where {end} is"
                " wanted: tensors follow each other without a gap"
            )
        end = end_of_this
    if size < end:
        raise SourceError(f"{path}: truncated, {size} of {end} bytes of tensors are there")
    if size > end:
        raise SourceError(f"{path}: {size - end} bytes follow the last tensor, which no header has")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 100 else f"{name[:100]!r}..."
