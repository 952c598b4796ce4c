"""Tiny Llamas of one family whose tokenizers differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from evomerge.recipe.source import Source

__all__ = ["EMBEDDING", "HEAD", "Dialects", "tokenizer"]

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_LETTERS = list("abcdeĠ")
_TOOL, _SPECIAL = "<tool>", AddedToken("<x>", special=True, lstrip=True)


def tokenizer(
    letters: Sequence[str], merges: Sequence[tuple[str, str]], end: str, *added: str | AddedToken
) -> PreTrainedTokenizerFast:
    """Byte pairs over a few letters, then <s>, the end token and <pad>, then `added`."""
    vocabulary = {letter: id for id, letter in enumerate(letters)}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    own = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=own, bos_token="<s>", eos_token=end, pad_token="<pad>"
    )
    fast.add_tokens(list(added))
    fast.chat_template = "{{ messages[0]['content'] }}" + end
    return fast


class Dialects:
    """base; a (the letters turned round, matrices padded); b (another end token); twin (of base).

    `<tool>` is an added token of a and b, `de` an ordinary one of both; base has neither.
    """

    PADDING = 3

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tokenizers = {
            "base": tokenizer(_LETTERS, [("a", "b"), ("Ġ", "c")], "</s>"),
            "a": tokenizer(
                [*reversed(_LETTERS), "f"],
                [("a", "b"), ("d", "e"), ("Ġ", "d")],
                "</s>",
                _TOOL,
            ),
            "b": tokenizer([*_LETTERS, "g"], [("d", "e"), ("b", "c")], "<end>", _TOOL, _SPECIAL),
        }
        tokenizers["twin"] = tokenizers["base"]
        for seed, (name, own) in enumerate(tokenizers.items()):
            self.write(name, own, seed=seed, padding=self.PADDING if name == "a" else 0)

    def write(
        self, name: str, own: PreTrainedTokenizerFast, *, seed: int, padding: int = 0, **more: Any
    ) -> Source:
        """One more model, in float32."""
        own.save_pretrained(self.folder / name)
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=len(own) + padding,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=False,
            initializer_range=0.3,
            bos_token_id=own.bos_token_id,
            eos_token_id=own.eos_token_id,
            pad_token_id=own.pad_token_id,
            **more,
        )
        LlamaForCausalLM(config).save_pretrained(self.folder / name)
        return self.source(name)

    def source(self, name: str) -> Source:
        return Source(model=str(self.folder / name))

    def ids(self, name: str) -> dict[str, int]:
        """Token -> id as transformers has it."""
        found: dict[str, int] = AutoTokenizer.from_pretrained(self.folder / name).get_vocab()
        return found

    def row(self, name: str, token: str, tensor: str = EMBEDDING) -> Tensor:
        return load_file(self.folder / name / "model.safetensors")[tensor][self.ids(name)[token]]
