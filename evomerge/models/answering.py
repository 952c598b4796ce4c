"""What a model answers, told by the class that its configuration names; no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evomerge.models.weight_files import is_of_diffusers

__all__ = ["answers_text", "architecture_of", "continues_text"]

_TASK = re.compile(r"\w+For(?P<task>[A-Z]\w*)")

_BOTH_WAYS = frozenset(
    "bert bert-generation big_bird camembert data2vec-text electra ernie megatron-bert rembert"
    " roberta roberta-prelayernorm roc_bert roformer xlm-roberta xlm-roberta-xl xmod".split()
)
"""Types of models that look both ways unless their configuration says `is_decoder`, whatever head
they have; the others' language models never do."""
_NEED_PICTURES = ("blip", "blip-2", "instructblip", "instructblipvideo")
"""Types of models with a language model inside that answer nothing without a picture."""
_READS_AND_WRITES = re.compile(r"\w+(ForConditionalGeneration|ForTextToText|MTModel|LMHeadModel)")
_NO_TEXT = ("moonshine", "pop2piano", "speech_to_text", "udop", "whisper")
"""Encoder-decoders that read sounds or pages, and whose configurations name no other tower."""
_OTHER_TOWERS = ("audio_config", "decoder_config", "encoder_config", "vision_config")
"""Keys of encoder-decoders that read sounds or pages."""


def architecture_of(config: Mapping[str, Any]) -> str:
    """The class that `config.json` names first, or a pipeline's own; empty where it names none."""
    if is_of_diffusers(config):
        return str(config["_class_name"])
    named = config.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def continues_text(config: Mapping[str, Any]) -> bool:
    """Whether the model is a language model from left to right, or has one beside other towers.

    Others (classifiers, encoders, embedding models, encoder-decoders) neither continue a text nor
    score one. A class of an unknown name counts as a language model.
    """
    if is_of_diffusers(config):
        return False
    code = config.get("auto_map")
    if isinstance(code, Mapping) and "AutoModelForCausalLM" in code:
        return True
    if config.get("model_type") in _BOTH_WAYS and not config.get("is_decoder"):
        return False
    if config.get("model_type") in _NEED_PICTURES:
        return False
    name = architecture_of(config)
    if named := _TASK.fullmatch(name):
        if named["task"] != "ConditionalGeneration":
            return named["task"] == "CausalLM"
        text = config.get("text_config")
        decodes = not config.get("is_encoder_decoder")
        return decodes and isinstance(text, Mapping) and not text.get("is_encoder_decoder")
    if config.get("is_encoder_decoder"):
        return False
    return name.endswith("LMHeadModel") or not name.endswith("Model")


def answers_text(config: Mapping[str, Any]) -> bool:
    """Whether the model answers a text: a language model does by continuing it, an encoder-decoder
    of texts (T5, BART) by reading it and writing another."""
    if continues_text(config):
        return True
    return (
        bool(config.get("is_encoder_decoder"))
        and _READS_AND_WRITES.fullmatch(architecture_of(config)) is not None
        and config.get("model_type") not in _NO_TEXT
        and not any(isinstance(config.get(key), Mapping) for key in _OTHER_TOWERS)
    )
