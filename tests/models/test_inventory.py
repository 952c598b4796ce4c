from __future__ import annotations

import json
from pathlib import Path

import pytest

from evomerge.errors import SourceError
from evomerge.models.inventory import read_inventory


@pytest.mark.parametrize(
    "file", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "", "a\0b"]
)
def test_an_index_does_not_leave_its_folder(tmp_path: Path, file: object) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    index = {"weight_map": {"a": file}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SourceError, match="must be one beside the index, without a path"):
        read_inventory(model)
