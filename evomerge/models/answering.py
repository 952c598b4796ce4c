"""What a model answers, told by the class that its configuration names; no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evomerge.models.weight_files import is_of_diffusers

__all__ = ["architecture_of", "continues_text"]

_TASK = re.compile(r"\w+For(?P<task>[A-Z]\w*)")


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
    name = architecture_of(config)
    if named := _TASK.fullmatch(name):
        if named["task"] != "ConditionalGeneration":
            return named["task"] == "CausalLM"
        text = config.get("text_config")
        decodes = not config.get("is_encoder_decoder")
        return decodes and isinstance(text, Mapping) and not text.get("is_encoder_decoder")
    return name.endswith("LMHeadModel") or not name.endswith("Model")
