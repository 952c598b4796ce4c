from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import SourceError
from evomerge.models.safetensors_header import header_length, read_header

GOOD = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}


def write(folder: Path, header: Any, data: int = 8) -> Path:
    text = json.dumps(header).encode()
    path = folder / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))
    return path


def test_a_good_one_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, {"__metadata__": {"format": "pt"}, "w": GOOD})
    assert read_header(path) == {"w": GOOD}
    assert 8 + header_length(path) + 8 == path.stat().st_size


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [2, 3]}, "8 bytes for a tensor of 12"),
        ({"shape": [10**30, 0]}, "shape is not a list of whole numbers"),
        ({"shape": [True, 4]}, "shape is not a list of whole numbers"),
        ({"shape": [-2, -2]}, "shape is not a list of whole numbers"),
        ({"data_offsets": [8, 0]}, "its data ends before it begins"),
        ({"data_offsets": [0, 8.0]}, "data_offsets are not two whole numbers"),
        ({"data_offsets": [8, 16]}, "its data begins at 8, where 0 is wanted"),
        ({"dtype": 3}, "its dtype is not the name of a type"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write(tmp_path, {"w": GOOD | change})
    with pytest.raises(SourceError) as refused:
        read_header(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


def test_what_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="truncated, 4 of 8 bytes"):
        read_header(write(tmp_path, {"w": GOOD}, data=4))
    with pytest.raises(SourceError, match="2 bytes follow the last tensor"):
        read_header(write(tmp_path, {"w": GOOD}, data=10))
    with pytest.raises(SourceError, match="the header is no mapping"):
        read_header(write(tmp_path, []))
    with pytest.raises(SourceError, match="dtype, shape and data_offsets are wanted"):
        read_header(write(tmp_path, {"w": 1}))
    path = tmp_path / "x.safetensors"
    for length in (2**63, 2**20):
        path.write_bytes(struct.pack("<Q", length))
        with pytest.raises(SourceError, match="not a safetensors file, or truncated"):
            read_header(path)
