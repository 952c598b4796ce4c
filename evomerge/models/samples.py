"""A few bytes of each tensor of a file, which tell weights that were trained apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evomerge.models.safetensors_header import header_length, read_header
from evomerge.reading.files import open_file

__all__ = ["sampled"]

_PLACES, _BYTES = 4, 16
"""Of each tensor that many pieces of that many bytes are read, from its start to its end."""


def sampled(path: Path) -> Iterator[bytes]:
    """Each tensor's name, type and shape, and a sample of its bytes, in the order of the names.

    Raises:
        SourceError: as `read_header`.
    """
    header = read_header(path)
    length = header_length(path)
    with open_file(path) as file:
        for name, info in sorted(header.items()):
            yield f"{name} {info['dtype']} {info['shape']}".encode()
            first, end = info["data_offsets"]
            for place in range(_PLACES):
                file.seek(
                    8 + length + first + max(end - first - _BYTES, 0) * place // (_PLACES - 1)
                )
                yield file.read(min(_BYTES, end - first))
