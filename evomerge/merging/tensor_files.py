"""Tensors of a safetensors file, read as they are asked for, once its header has been checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from evomerge.errors import SourceError
from evomerge.models.safetensors_header import read_header

__all__ = ["open_tensors", "tensors_in"]


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
