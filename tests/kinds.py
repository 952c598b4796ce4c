"""Families of tiny models of other kinds than a Llama, with weights and a tokenizer of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.architectures import ARCHITECTURES, Architecture, config_of

__all__ = ["architecture", "byte_tokenizer", "write_kind"]

LENGTH = 128
"""Positions of each model."""


def architecture(name: str) -> Architecture:
    """The architecture of this name."""
    return next(own for own in ARCHITECTURES if own.name == name)


def byte_tokenizer() -> Any:
    """A tokenizer that knows every text: bytes, and three special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def write_kind(made: Architecture, folder: Path, *, seed: int) -> Path:
    """Write a model of the architecture, large enough for its tokenizer and for short questions."""
    tokenizer = byte_tokenizer()
    ids = {
        "vocab_size": len(tokenizer) + 5,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    settings = _longer(made.settings) | ({} if "text_config" in made.settings else ids)
    if "text_config" in settings:
        settings["text_config"] = _longer(settings["text_config"]) | ids
    if "image_token_index" in settings:
        settings["image_token_index"] = len(tokenizer) + 1
    if made.name == "T5":  # as published ones say, which transformers' own class does not
        settings["n_positions"] = LENGTH
    if made.name == "T5" or "decoder_start_token_id" in settings:
        settings["decoder_start_token_id"] = tokenizer.bos_token_id
    torch.manual_seed(seed)
    model = getattr(transformers, made.model)(config_of(replace(made, settings=settings)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _longer(settings: Mapping[str, Any]) -> dict[str, Any]:
    lengths = ("max_position_embeddings", "n_positions")
    return {**settings, **{key: LENGTH for key in lengths if key in settings}}
