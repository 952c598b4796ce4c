"""A safetensors file made of tensors of others, byte by byte: nothing is decoded, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evomerge.models.safetensors_header import header_length, read_header
from evomerge.reading.files import open_file

__all__ = ["Piece", "write_pieces"]

_BLOCK = 1 << 22
"""Bytes that are copied at a time."""


@dataclass(frozen=True)
class Piece:
    """A tensor in a file."""

    file: Path
    name: str


def write_pieces(path: Path, pieces: Mapping[str, Piece]) -> None:
    """Write the tensors under other names, or the same, into a new file at `path`.

    Raises:
        SourceError: as `read_header`.
        OSError: as the file system does.
    """
    files = {piece.file for piece in pieces.values()}
    headers = {file: (read_header(file), 8 + header_length(file)) for file in files}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    places, end = [], 0
    for name, piece in sorted(pieces.items()):
        tensors, data = headers[piece.file]
        info = tensors[piece.name]
        begin, stop = info["data_offsets"]
        header[name] = {
            "dtype": info["dtype"],
            "shape": info["shape"],
            "data_offsets": [end, end + stop - begin],
        }
        end += stop - begin
        places.append((piece.file, data + begin, stop - begin))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    with path.open("xb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for file, begin, size in places:
            with open_file(file) as source:
                source.seek(begin)
                for done in range(0, size, _BLOCK):
                    out.write(source.read(min(_BLOCK, size - done)))
