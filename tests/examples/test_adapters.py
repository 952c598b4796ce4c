"""The committed adapters: small, portable, and trained on the data that their provenance names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from generate import SKILLS, Skill, training_digest, training_examples

ADAPTERS = Path(__file__).parents[2] / "examples" / "specialists" / "adapters"
LARGEST = 4_000_000  # bytes


def read(skill: Skill, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ADAPTERS / skill / name).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("skill", SKILLS)
def test_adapter_is_small(skill: Skill) -> None:
    assert 0 < (ADAPTERS / skill / "adapter_model.safetensors").stat().st_size <= LARGEST


@pytest.mark.parametrize("skill", SKILLS)
def test_adapter_names_its_base_portably(skill: Skill) -> None:
    named = read(skill, "adapter_config.json")["base_model_name_or_path"]
    assert named == read(skill, "provenance.json")["base_model"]
    assert not named.startswith(("/", "."))


@pytest.mark.parametrize("skill", SKILLS)
def test_provenance_names_the_training_data(skill: Skill) -> None:
    provenance = read(skill, "provenance.json")
    examples = training_examples(skill, provenance["training_examples"], provenance["plan"]["seed"])
    assert training_digest(examples) == provenance["training_data_sha256"]


@pytest.mark.parametrize("skill", SKILLS)
def test_adapter_has_the_rank_it_was_trained_with(skill: Skill) -> None:
    config, plan = read(skill, "adapter_config.json"), read(skill, "provenance.json")["plan"]
    assert (config["r"], config["lora_alpha"]) == (plan["rank"], plan["alpha"])
