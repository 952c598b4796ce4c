"""Tensors of a safetensors file, read as they are asked for, once its header has been checked; and
written."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.models.safetensors_header import read_header

__all__ = ["open_tensors", "tensors_in", "write_tensors"]


def open_tensors(path: Path) -> Any:
    """What `safe_open` gives, on the CPU; it stays open as long as it is held.

    Raises:
        SourceError: it is no such file, or its header contradicts itself.
    """
    read_header(path)
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (OSError, SafetensorError) as problem:
        raise SourceError(f"{path}: cannot be read ({problem})") from None


@contextmanager
def tensors_in(path: Path) -> Iterator[Any]:
    """The same, closed in the end."""
    with open_tensors(path) as file:
        yield file


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as a safetensors file.

    Raises:
        OSError: the disk refuses, which safetensors says in another way.
    """
    try:
        save_file(dict(tensors), path, metadata=None if metadata is None else dict(metadata))
    except SafetensorError as problem:
        raise OSError(errno.EIO, str(problem), str(path)) from None
