"""Which models continue texts, by what their configurations say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import model_type_to_module_name

from evomerge.models.answering import answers_text, architecture_of, continues_text

TEXT = {"model_type": "llama"}
OF_TEXTS = auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
OTHERS = {
    "florence2": "Florence2ForConditionalGeneration",
    "pix2struct": "Pix2StructForConditionalGeneration",
    "pop2piano": "Pop2PianoForConditionalGeneration",
    "udop": "UdopForConditionalGeneration",
}


@pytest.mark.parametrize(
    ("architecture", "more", "is_language"),
    [
        ("LlamaForCausalLM", {}, True),
        ("GPT2LMHeadModel", {}, True),
        ("EvomergeStackForCausalLM", {"route": []}, True),
        ("LlavaForConditionalGeneration", {"text_config": TEXT}, True),
        ("T5ForConditionalGeneration", {"is_encoder_decoder": True}, False),
        ("T5WithLMHeadModel", {"is_encoder_decoder": True}, False),
        ("SomethingNew", {"is_encoder_decoder": True}, False),
        ("WhisperForConditionalGeneration", {}, False),
        (
            "Florence2ForConditionalGeneration",
            {"text_config": {**TEXT, "is_encoder_decoder": True}},
            False,
        ),
        ("BertForSequenceClassification", {}, False),
        ("GPT2ForSequenceClassification", {}, False),
        ("ModernBertForMaskedLM", {}, False),
        ("BertLMHeadModel", {"model_type": "bert"}, False),  # which sees what comes next
        ("BertLMHeadModel", {"model_type": "bert", "is_decoder": True}, True),
        ("", {"model_type": "bert"}, False),
        ("ModernBertDecoderForCausalLM", {"model_type": "modernbert-decoder"}, True),
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


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("T5ForConditionalGeneration", {"model_type": "t5"}),
        ("T5WithLMHeadModel", {"model_type": "t5"}),  # as old checkpoints call it
        ("T5GemmaForConditionalGeneration", {"encoder": TEXT, "decoder": TEXT}),
        ("MarianMTModel", {"model_type": "marian"}),
    ],
)
def test_an_encoder_decoder_answers_and_does_not_continue(
    architecture: str, more: dict[str, Any]
) -> None:
    config = {"architectures": [architecture], "is_encoder_decoder": True, **more}
    assert answers_text(config)
    assert not continues_text(config)


def encoder_decoders() -> list[tuple[str, dict[str, Any], bool]]:
    """Class, configuration as it is written, and whether lm-eval knows it as one of texts: of the
    classes of transformers that read something and write another."""
    found = []
    for kind in (auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES, OTHERS, OF_TEXTS):
        for model_type, name in kind.items():
            if model_type.endswith("encoder-decoder"):  # a pair of two other models
                continue
            config = CONFIG_MAPPING[model_type]().to_diff_dict()
            if config.get("is_encoder_decoder"):
                found.append((name, config | {"architectures": [name]}, kind is OF_TEXTS))
    return found


@pytest.mark.filterwarnings("ignore")
def test_encoder_decoders_of_texts_are_told_from_those_of_sounds_and_pages() -> None:
    told = encoder_decoders()
    assert sum(known for *_, known in told) > 20
    assert len(told) > 30
    for name, config, known in told:
        assert answers_text(config) is known, name
        assert not continues_text(config), name


def test_models_that_look_both_ways_unless_they_are_told_are_known() -> None:
    """transformers warns of those that it gives a language model's head."""
    warned = set()
    for model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        folder = (
            Path(transformers.__file__).parent / "models" / model_type_to_module_name(model_type)
        )
        texts = [file.read_text() for file in folder.glob("modeling_*.py")]
        if any("as a standalone" in text and "is_decoder=True" in text for text in texts):
            warned.add(model_type)
    assert len(warned) > 10
    for model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        config = {"model_type": model_type, "architectures": ["OwnForCausalLM"]}
        assert continues_text(config) is (model_type not in warned), model_type


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "UNet2DConditionModel"])
def test_models_of_diffusers_continue_no_text(name: str) -> None:
    assert not continues_text({"_class_name": name})
    assert architecture_of({"_class_name": name}) == name
