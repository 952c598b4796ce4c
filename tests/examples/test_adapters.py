"""The committed adapters: small, portable, and trained on the data that their provenance names."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from generate import SKILLS, Skill, training_digest, training_examples
from plans import ALPHA, LINEAR_LAYERS, PLANS, RANK
from provenance import read_provenance

from evomerge.models.parent_cards import parent_cards
from evomerge.recipe.source import Source

ADAPTERS = Path(__file__).parents[2] / "examples" / "specialists" / "adapters"
LARGEST = 4_000_000  # bytes


def read_config(skill: Skill) -> dict[str, Any]:
    text = (ADAPTERS / skill / "adapter_config.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.mark.parametrize("skill", SKILLS)
def test_adapter_is_small(skill: Skill) -> None:
    assert 0 < (ADAPTERS / skill / "adapter_model.safetensors").stat().st_size <= LARGEST


@pytest.mark.parametrize("skill", SKILLS)
def test_adapter_names_its_base_portably(skill: Skill) -> None:
    named = read_config(skill)["base_model_name_or_path"]
    assert named == read_provenance(ADAPTERS / skill)["base_model"]
    assert not named.startswith(("/", "."))


def test_a_merge_knows_the_license_of_the_adapters() -> None:
    base = ADAPTERS.parent  # no model, but nothing is read of one
    sources = [Source(model=str(base), adapter=str(ADAPTERS / skill)) for skill in SKILLS]
    cards = parent_cards({source: source for source in sources})
    adapters = [card for card in cards if card.name != str(base)]
    assert [card.licenses for card in adapters] == [("apache-2.0",)] * len(SKILLS)
    assert {card.languages for card in adapters} == {("en",)}


@pytest.mark.parametrize("skill", SKILLS)
def test_provenance_names_the_training_data(skill: Skill) -> None:
    stages = read_provenance(ADAPTERS / skill)["stages"]
    assert [stage["plan"] for stage in stages] == [asdict(stage) for stage in PLANS[skill]]
    for stage, noted in zip(PLANS[skill], stages, strict=True):
        examples = training_examples(skill, stage.examples, stage.seed)
        assert training_digest(examples) == noted["training_data_sha256"]


@pytest.mark.parametrize("skill", SKILLS)
def test_adapter_covers_every_linear_layer_with_the_planned_rank(skill: Skill) -> None:
    config = read_config(skill)
    assert (config["r"], config["lora_alpha"]) == (RANK, ALPHA)
    assert set(config["target_modules"]) == set(LINEAR_LAYERS)
