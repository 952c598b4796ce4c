"""Two sibling models of 100,000 parameters with a byte tokenizer, and what they should say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

__all__ = ["EDITED", "Edited", "Reference", "build", "encode"]

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
EDITED = "model.layers.1.mlp.up_proj.weight"


def build(folder: Path, *, seed: int, layers: int = 2) -> Path:
    """A model of the family: tied embeddings, grouped queries, float32."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast) + 5,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.3,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def encode(tokenizer: Any, *texts: str) -> list[list[int]]:
    """The tokens of each text, without special tokens."""
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


@dataclass(frozen=True)
class Edited:
    """A weight source: a checkpoint with some tensors replaced, and some left out."""

    folder: Path
    replace: dict[str, Tensor] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of the folder's name and of what is edited."""
        edits = {name: tensor.tolist() for name, tensor in self.replace.items()}
        said = f"{self.folder} {edits} {self.without}"
        return hashlib.sha256(said.encode()).hexdigest()

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        """(name, tensor) of the checkpoint, as edited."""
        for name, tensor in load_file(self.folder / "model.safetensors").items():
            if name not in self.without:
                yield name, self.replace.get(name, tensor)
        yield from ((name, t) for name, t in self.replace.items() if name.startswith("new."))


class Reference:
    """What the model in a folder says, by plain transformers."""

    def __init__(self, folder: Path) -> None:
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def continuation(self, prompt: Sequence[int], new: int) -> list[int]:
        """Greedy tokens, the end token included."""
        output = self.model.generate(
            torch.tensor([prompt]), max_new_tokens=new, do_sample=False, use_cache=False
        )
        return [int(token) for token in output[0, len(prompt) :]]

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special tokens."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    @torch.no_grad()
    def logprob(self, context: Sequence[int], continuation: Sequence[int]) -> float:
        """The log-probability of a continuation, in nats."""
        whole = torch.tensor([[*context, *continuation]])
        likely = self.model(whole).logits[0].log_softmax(-1)
        at = range(len(context) - 1, whole.shape[1] - 1)
        return sum(float(likely[i, whole[0, i + 1]]) for i in at)
