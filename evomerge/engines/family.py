"""What a model folder says about its family: configuration and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from evomerge.engines.stack_model import EvomergeStackForCausalLM, StackConfig
from evomerge.errors import SourceError
from evomerge.models.answering import continues_text
from evomerge.reading.json_text import read_object

__all__ = ["configuration", "model_class", "tokenizer"]

SAID = 300
"""Characters of a library's message that are passed on."""

# A folder with a stack is loaded by our own copy of its code, which needs no trust.
AutoConfig.register(StackConfig.model_type, StackConfig, exist_ok=True)
AutoModelForCausalLM.register(StackConfig, EvomergeStackForCausalLM, exist_ok=True)


def configuration(folder: Path, *, trust_remote_code: bool) -> Any:
    """The language model's part of `config.json`. Raises: SourceError: there is none to read."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as problem:  # noqa: BLE001 - transformers and the hub have many
        raise _unreadable(folder, "configuration", problem) from None
    return config.get_text_config()


def model_class(folder: Path, *, trust_remote_code: bool) -> Any:
    """What loads the folder's model: the class for language models where transformers has one of
    this family, else the very class that `config.json` names.

    Raises:
        SourceError: transformers has no such class.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as problem:  # noqa: BLE001 - transformers and the hub have many
        raise _unreadable(folder, "configuration", problem) from None
    name = (config.architectures or [""])[0]
    is_language = continues_text(read_object(folder / "config.json", constants=True))
    if is_language and (
        config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        or type(config) is StackConfig
        or trust_remote_code
        or not name
    ):
        return AutoModelForCausalLM
    named = getattr(transformers, name, None)
    if not hasattr(named, "from_pretrained"):
        raise SourceError(
            f"{folder}: transformers {transformers.__version__} has no class {name or 'at all'} for"
            f" models of type {config.model_type}"
        )
    return named


def tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    """The folder's tokenizer. Raises: SourceError: there is none to read."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as problem:  # noqa: BLE001 - transformers and the hub have many
        raise _unreadable(folder, "tokenizer", problem) from None


def _unreadable(folder: Path, what: str, problem: Exception) -> SourceError:
    said = " ".join(str(problem).split())
    return SourceError(f"{folder}: no readable {what} ({said[:SAID]})")
