"""Models that an evaluator or an engine cannot ask are refused in one sentence, before anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.place import Place

CANNOT = "neither continues texts nor scores them, which evaluators of kind"
WRITES = {"is_encoder_decoder": True}
TEXT = {"kind": "text", "tasks": ["prose"], "splits": {}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "here")


def said_to_be(place: Place, architecture: str, **keys: Any) -> None:
    """All models of the place say that they are of this class."""
    for name in ("base", "json", "math"):
        file = place.folder / "models" / name / "config.json"
        known = json.loads(file.read_text())
        file.write_text(json.dumps(known | {"architectures": [architecture]} | keys))


def text(place: Place) -> dict[str, Any]:
    for split in ("search", "validation", "holdout"):
        (place.folder / f"{split}.txt").write_text(f"What there is to say of the {split}. " * 3)
    return TEXT | {
        "splits": {split: f"{split}.txt" for split in ("search", "validation", "holdout")}
    }


@pytest.mark.parametrize(
    ("architecture", "keys"),
    [
        ("BertForSequenceClassification", {"model_type": "bert"}),
        ("LlamaForSequenceClassification", {}),
        ("BertModel", {"model_type": "bert"}),
        ("RobertaForCausalLM", {"model_type": "roberta"}),  # which sees what comes next
        ("LlamaModel", {}),  # an embedding model without a head
        ("CLIPModel", {"model_type": "clip"}),
        ("ViTForImageClassification", {"model_type": "vit"}),
        ("Wav2Vec2ForCTC", {"model_type": "wav2vec2"}),
        ("WhisperForConditionalGeneration", {"model_type": "whisper", **WRITES}),
        ("Florence2ForConditionalGeneration", {"vision_config": {"model_type": "x"}, **WRITES}),
        ("T5EncoderModel", {"model_type": "t5"}),
    ],
)
def test_what_answers_no_text_is_not_asked_for_one(
    place: Place, architecture: str, keys: dict[str, Any]
) -> None:
    said_to_be(place, architecture, **keys)
    place.write()
    (place.folder / "text.yaml").write_text(json.dumps(text(place)))
    for refused in (
        ("check", "job.yaml"),
        ("search", "job.yaml", "--out", "study"),
        ("evaluate", "models/base", "--evaluator", "evaluator.yaml"),
        ("evaluate", "models/base", "--evaluator", "text.yaml"),
    ):
        assert f"{architecture} {CANNOT}" in place.refuses(*refused)


def test_an_encoder_decoder_is_asked_for_answers_and_not_how_likely_a_text_is(
    place: Place,
) -> None:
    said_to_be(place, "T5ForConditionalGeneration", model_type="t5", **WRITES)
    place.write()
    assert place.run("check", "job.yaml").returncode == 0
    place.evaluator = text(place)
    place.write()
    said = place.refuses("check", "job.yaml")
    assert "T5ForConditionalGeneration reads one text and writes another" in said
    place.evaluator = {"kind": "mixture", "of": {"texts": place.evaluator}}
    place.write()
    assert "reads one text and writes another" in place.refuses("check", "job.yaml")


@pytest.mark.parametrize("architecture", ["T5ForConditionalGeneration", "BertModel"])
def test_an_engine_that_does_not_run_such_a_model_is_not_waited_for(
    place: Place, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evomerge.engines.config import EngineConfig
    from evomerge.engines.factory import VLLM
    from evomerge.errors import ConfigError

    config = {"architectures": [architecture], "model_type": "t5", **WRITES}
    said = rf"runs language models that continue a text, and {architecture} does not; take transf"
    with pytest.raises(ConfigError, match=said):
        VLLM.check_model(EngineConfig(kind="vllm"), config)


def test_a_model_without_a_tokenizer_is_not_evaluated(place: Place) -> None:
    place.write()
    for file in (place.folder / "models" / "base").glob("tokenizer*"):
        file.unlink()
    said = place.refuses("evaluate", "models/base", "--evaluator", "evaluator.yaml")
    assert "has no tokenizer" in said
