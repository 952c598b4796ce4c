"""An adapter that is no plain one is refused by every command that reads it, by a field's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.place import Place

MEASURE = ("measure", "models/base", "--adapter", "models/lora")
SPACES: dict[str, dict[str, Any]] = {
    "parameter": {"kind": "parameter", "base": "base", "method": "ties"},
    "dataflow": {"kind": "dataflow"},
    "segments": {"kind": "segments", "base": "base"},
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The family's adapter `lora` says that it began as PiSSA."""
    made = Place(tmp_path / "here")
    path = made.folder / "models" / "lora" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"init_lora_weights": "pissa"}))
    made.write()
    recipe = {
        "kind": "merge",
        "method": "task_arithmetic",
        "base": "base",
        "inputs": {
            "base": {"model": "models/base"},
            "l": {"model": "models/base", "adapter": "models/lora"},
        },
        "rules": [{"where": {}, "l": {"weight": 1}}],
    }
    (made.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (made.folder / "text.jsonl").write_text('{"text": "abc"}\n')
    return made


@pytest.mark.parametrize(
    "command",
    [
        ("check", "recipe.yaml"),
        ("merge", "recipe.yaml", "--out", "m"),
        ("merge", "recipe.yaml", "--out", "m", "--format", "adapter"),
        ("evaluate", "recipe.yaml", "--evaluator", "evaluator.yaml", "--trust-job"),
        (*MEASURE, "--text", "text.jsonl", "--out", "m", "--what", "gram"),
    ],
    ids=lambda command: " ".join(command[:1] + command[-1:]),
)
def test_commands_on_a_model(place: Place, command: tuple[str, ...]) -> None:
    said = place.refuses(*command)
    assert "models/lora/adapter_config.json: init_lora_weights='pissa' is not supported" in said


@pytest.mark.parametrize("verb", ["check", "search"])
@pytest.mark.parametrize("kind", sorted(SPACES))
def test_jobs(place: Place, kind: str, verb: str) -> None:
    place.job["space"] = SPACES[kind]
    place.job["optimizer"] = "natural_niches" if kind == "segments" else "random"
    place.job["sources"]["l"] = {"model": "models/base", "adapter": "models/lora"}
    place.write()
    out = ("--out", "study") if verb == "search" else ()
    said = place.refuses(verb, "job.yaml", "--trust-job", *out)
    assert "models/lora/adapter_config.json: init_lora_weights='pissa' is not supported" in said
