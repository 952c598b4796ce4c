"""What a model folder says about its family: configuration and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from evomerge.engines.stack_model import EvomergeStackForCausalLM, StackConfig
from evomerge.errors import SourceError

__all__ = ["configuration", "tokenizer"]

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


def tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    """The folder's tokenizer. Raises: SourceError: there is none to read."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as problem:  # noqa: BLE001 - transformers and the hub have many
        raise _unreadable(folder, "tokenizer", problem) from None


def _unreadable(folder: Path, what: str, problem: Exception) -> SourceError:
    said = " ".join(str(problem).split())
    return SourceError(f"{folder}: no readable {what} ({said[:SAID]})")
