"""What benchmarks/published.py writes, and what was written with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from published import ROOT, portable

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def test_paths_start_at_the_projects_folder() -> None:
    model = {"model": f"{ROOT}/.cache/base", "adapter": f"{ROOT}/examples/json"}
    assert portable(model) == {"model": ".cache/base", "adapter": "examples/json"}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_no_result_names_a_path_of_the_machine_that_made_it(path: Path) -> None:
    absolute = [text for text in texts(json.loads(path.read_text())) if text.startswith("/")]
    assert absolute == []


def texts(value: Any) -> list[str]:
    """Every text in a JSON document."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in inner for text in texts(part)]
