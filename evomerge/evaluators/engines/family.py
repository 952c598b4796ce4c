"""What a model folder says about its family: configuration, tokenizer, and fit for data flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from evomerge.errors import SourceError

__all__ = ["FAMILIES", "check_stackable", "configuration", "tokenizer"]

FAMILIES = {
    "gemma": "GemmaForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""Model types of which data flow makes stacks, and their classes: decoders of the shape of Llama's,
in which a layer does not know its number."""


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


def check_stackable(about: Any, folder: Path | str) -> None:
    """Raises: SourceError: data flow cannot run the layers of such a model in any order."""
    family = getattr(about, "family", about.model_type)
    if family not in FAMILIES:
        raise SourceError(
            f"{folder}: data flow cannot stack models of type {family!r}; it can "
            f"{', '.join(FAMILIES)}"
        )
    others = {*(getattr(about, "layer_types", None) or ())} - {"full_attention"}
    if getattr(about, "sliding_window", None):
        others.add("sliding_attention")
    if getattr(about, "dual_chunk_attention_config", None):
        others.add("dual_chunk_attention")
    if others:
        raise SourceError(
            f"{folder}: data flow needs full attention in every layer, and the model has "
            f"{min(others)}"
        )


def _unreadable(folder: Path, what: str, problem: Exception) -> SourceError:
    return SourceError(f"{folder}: no readable {what} ({str(problem).strip().splitlines()[0]})")
