"""What a model folder says about its family: configuration and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from evomerge.engines.stack_model import EvomergeStackForCausalLM, StackConfig
from evomerge.errors import SourceError
from evomerge.models.answering import answers_text, continues_text
from evomerge.reading.json_text import read_object
from evomerge.wording import in_one_line

__all__ = ["configuration", "model_class", "most_tokens", "tokenizer"]

_LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
"""Keys that families give their number of positions under; the first that is there counts."""
_USUAL_LENGTH = 2048
"""Tokens, where nothing says how many a model takes (lm-eval's own default)."""
_ENDLESS = 10**9
"""A tokenizer of no known length says a larger number."""
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
    """What loads the folder's model: the very class that `config.json` names, else, of a name that
    transformers does not know, that for language models or for encoder-decoders of this family.

    Raises:
        SourceError: transformers has no such class.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as problem:  # noqa: BLE001 - transformers and the hub have many
        raise _unreadable(folder, "configuration", problem) from None
    name = (config.architectures or [""])[0]
    named = getattr(transformers, name, None)
    written = read_object(folder / "config.json", constants=True)
    continues = continues_text(written)
    if continues and (
        type(config) is StackConfig
        or trust_remote_code
        or (named is None and config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    ):
        return AutoModelForCausalLM
    if named is None and not continues and answers_text(written):
        return AutoModelForSeq2SeqLM
    if not hasattr(named, "from_pretrained"):
        raise SourceError(
            f"{folder}: transformers {transformers.__version__} has no class {name or 'at all'} for"
            f" models of type {config.model_type}"
        )
    return named


def most_tokens(about: Any, reader: Any) -> int:
    """How many tokens a model takes: by its configuration, else by its tokenizer, since families
    with relative positions (BLOOM, T5, Mamba) count none."""
    for key in _LENGTHS:
        if isinstance(said := getattr(about, key, None), int) and said > 0:
            return said
    by_tokenizer = getattr(reader, "model_max_length", _ENDLESS)
    return int(by_tokenizer) if by_tokenizer < _ENDLESS else _USUAL_LENGTH


def tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    """The folder's tokenizer. Raises: SourceError: there is none to read."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as problem:  # noqa: BLE001 - transformers and the hub have many
        raise _unreadable(folder, "tokenizer", problem) from None


def _unreadable(folder: Path, what: str, problem: Exception) -> SourceError:
    said = in_one_line(problem)[:SAID]
    return SourceError(f"{folder}: no readable {what} ({said})")
