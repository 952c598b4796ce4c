"""Safetensors files that are written while their tensors are made.

Names, types and shapes are known before any weight is: so the shards are planned, each header is
written first, and then the tensors' bytes one by one. The layout is that of the safetensors library
(https://github.com/huggingface/safetensors, "Format"): eight bytes of length, a JSON header padded
to eight bytes, and the tensors without holes, wide types first, so that each is aligned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.dtypes import NAMES
from evomerge.models.tensor_types import WIDTHS, TensorSpec

__all__ = ["Shard", "plan", "write_shards"]

_ALIGNMENT = 8
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers of so many bytes, which numpy knows where it does not know the float."""


@dataclass(frozen=True)
class Shard:
    """One file and its tensors, in the order in which they come."""

    file: str
    tensors: tuple[TensorSpec, ...]

    @property
    def size(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where each tensor's bytes begin after the header."""
        laid = sorted(self.tensors, key=lambda tensor: (-WIDTHS[tensor.dtype], tensor.name))
        offsets, at = {}, 0
        for tensor in laid:
            offsets[tensor.name] = at
            at += tensor.size
        return offsets

    @cached_property
    def header(self) -> bytes:
        """The length and the padded JSON."""
        known = {tensor.name: tensor for tensor in self.tensors}
        entries = {
            name: {
                "dtype": known[name].dtype,
                "shape": list(known[name].shape),
                "data_offsets": [begin, begin + known[name].size],
            }
            for name, begin in self.offsets.items()
        }
        # transformers refuses a file that does not say which library's tensors these are.
        text = json.dumps(
            {"__metadata__": {"format": "pt"}} | entries, separators=(",", ":"), ensure_ascii=False
        ).encode()
        text += b" " * (-len(text) % _ALIGNMENT)
        return len(text).to_bytes(8, "little") + text


def plan(tensors: Iterable[TensorSpec], limit: int, stem: str = "model") -> list[Shard]:
    """Shards of at most `limit` bytes, or of one tensor; their files are numbered if several.

    `stem`: what they are called, up to `.safetensors`.
    """
    groups: list[list[TensorSpec]] = [[]]
    held = 0
    for tensor in tensors:
        if groups[-1] and held + tensor.size > limit:
            groups.append([])
            held = 0
        groups[-1].append(tensor)
        held += tensor.size
    if len(groups) == 1:
        return [Shard(f"{stem}.safetensors", tuple(groups[0]))]
    return [
        Shard(f"{stem}-{number:05d}-of-{len(groups):05d}.safetensors", tuple(group))
        for number, group in enumerate(groups, start=1)
    ]


def write_shards(
    shards: list[Shard],
    tensors: Iterable[tuple[str, Tensor]],
    folder: Path,
    stem: str = "model",
) -> None:
    """Write the files, and an index where there are several; no tensor is kept.

    Args:
        tensors: (name, tensor) as planned, in the plan's order.

    Raises:
        CandidateError: a tensor is missing, is not as planned, or is one too many.
        OSError: as writing does.
    """
    stream = iter(tensors)
    for shard in shards:
        _write(shard, stream, folder)
    for name, _ in stream:
        raise CandidateError(f"the tensor {name!r} is not among those planned")
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(shard.size for shard in shards)},
            "weight_map": {tensor.name: shard.file for shard in shards for tensor in shard.tensors},
        }
        text = json.dumps(index, indent=2, sort_keys=True)
        (folder / f"{stem}.safetensors.index.json").write_text(text, encoding="utf-8")


def _write(shard: Shard, stream: Iterator[tuple[str, Tensor]], folder: Path) -> None:
    with (folder / shard.file).open("wb", buffering=0) as file:
        _write_all(file.write, shard.header)
        for wanted in shard.tensors:
            name, tensor = next(stream, ("", None))
            if tensor is None:
                raise CandidateError(f"the tensor {wanted.name!r} is missing")
            dtype, shape = NAMES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape)
            if (name, dtype, shape) != (wanted.name, wanted.dtype, wanted.shape):
                raise CandidateError(
                    f"the tensor {name!r} came as {dtype} {list(shape)}, planned was"
                    f" {wanted.name!r} as {wanted.dtype} {list(wanted.shape)}"
                )
            file.seek(len(shard.header) + shard.offsets[name])
            _write_all(file.write, _little_endian(tensor).data)
            del tensor  # before the next one is made


def _write_all(write: Callable[[memoryview], int], data: bytes | memoryview) -> None:
    """All of it: a single call writes at most 2 GiB."""
    left = memoryview(data).cast("B")
    while left:
        left = left[write(left) :]


def _little_endian(tensor: Tensor) -> NDArray[Any]:
    """The tensor's elements as integers of their width; no copy where it lies as it is stored."""
    width = tensor.element_size()
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(_WHOLE[width])
    array: NDArray[Any] = flat.numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
