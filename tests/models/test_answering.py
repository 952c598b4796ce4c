"""Which models continue texts, by what their configurations say."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.models.answering import architecture_of, continues_text

TEXT = {"model_type": "llama"}


@pytest.mark.parametrize(
    ("architecture", "more", "is_language"),
    [
        ("LlamaForCausalLM", {}, True),
        ("GPT2LMHeadModel", {}, True),
        ("EvomergeStackForCausalLM", {"route": []}, True),
        ("LlavaForConditionalGeneration", {"text_config": TEXT}, True),
        ("T5ForConditionalGeneration", {"is_encoder_decoder": True}, False),
        ("WhisperForConditionalGeneration", {}, False),
        (
            "Florence2ForConditionalGeneration",
            {"text_config": {**TEXT, "is_encoder_decoder": True}},
            False,
        ),
        ("BertForSequenceClassification", {}, False),
        ("GPT2ForSequenceClassification", {}, False),
        ("ModernBertForMaskedLM", {}, False),
        ("BertModel", {}, False),
        ("CLIPModel", {"text_config": TEXT}, False),
        ("ChatGLMModel", {"auto_map": {"AutoModelForCausalLM": "m.C"}}, True),
        ("SomethingNew", {}, True),  # of which nothing is known
        ("", {}, True),
    ],
)
def test_by_the_name_of_the_class(
    architecture: str, more: dict[str, Any], is_language: bool
) -> None:
    config = {"architectures": [architecture] if architecture else [], **more}
    assert continues_text(config) is is_language
    assert architecture_of(config) == architecture
