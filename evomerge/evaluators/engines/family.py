"""What a model folder says about its family: configuration and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from evomerge.errors import SourceError

__all__ = ["configuration", "tokenizer"]


def configuration(folder: Path, *, trust_remote_code: bool) -> Any:
    """The language model's part of `config.json`. Raises: SourceError: there is none to read."""
    try:
        found = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as problem:
        raise _unreadable(folder, "configuration", problem) from None
    return found.get_text_config()


def tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    """The folder's tokenizer. Raises: SourceError: there is none to read."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as problem:
        raise _unreadable(folder, "tokenizer", problem) from None


def _unreadable(folder: Path, what: str, problem: Exception) -> SourceError:
    return SourceError(f"{folder}: no readable {what} ({str(problem).strip().splitlines()[0]})")
