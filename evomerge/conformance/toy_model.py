"""A live model of a few lines for tests: no weights, no libraries, the same answers anywhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evomerge.evaluators.live_model import Generation, LogProb, Sampling

__all__ = ["ByteTokenizer", "ToyModel"]

_BOS, _EOS = 256, 257
_SEEN = 8
"""Tokens before one that its probability depends on."""


class ByteTokenizer:
    """A token is a byte of UTF-8, with as much of a Hugging Face tokenizer as evaluators use."""

    name_or_path = "toy"
    is_fast = True
    bos_token, bos_token_id = "<s>", _BOS
    eos_token, eos_token_id = "</s>", _EOS
    chat_template = "role: content"

    def __call__(self, text: str, **_: Any) -> Mapping[str, list[Any]]:
        """Tokens, and for each the characters [start, end) that it belongs to."""
        spans = [(at, at + 1) for at, letter in enumerate(text) for _ in letter.encode()]
        return {"input_ids": list(text.encode()), "offset_mapping": spans}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The text's bytes; there are no special tokens to add."""
        return list(text.encode())

    def decode(self, tokens: Sequence[int], **_: Any) -> str:
        """The text, without special tokens."""
        return bytes(token for token in tokens if token < _BOS).decode(errors="replace")

    def apply_chat_template(self, turns: Sequence[Mapping[str, str]], **_: Any) -> str:
        """A line a turn."""
        return "".join(f"{turn['role']}: {turn['content']}\n" for turn in turns)


class ToyModel:
    """Answers by a checksum of what it is asked, so that batches change nothing.

    `seed`: another one is another model. One request is one batch.
    """

    def __init__(self, seed: int = 0, max_length: int = 2048) -> None:
        self.tokenizer, self.max_length = ByteTokenizer(), max_length
        self._seed = seed

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """Digits, up to 8; what begins with a 0 counts as cut off."""
        generations = []
        for prompt, sampling in zip(prompts, samplings, strict=True):
            if between_steps:
                between_steps()
            digits = str(self._checksum([*prompt, sampling.seed]))[
                : min(8, sampling.max_new_tokens)
            ]
            generations.append(Generation(digits, len(digits), digits.startswith("0")))
        return generations

    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """Of each token between -4 and 0 nats, by the tokens just before it."""
        logprobs = []
        for context, rest in pairs:
            if between_steps:
                between_steps()
            whole = [*context, *rest]
            ends = range(len(context) + 1, len(whole) + 1)
            nats = (self._checksum(whole[max(0, end - _SEEN) : end]) / 2**30 for end in ends)
            logprobs.append(LogProb(-sum(nats), False))
        return logprobs

    def _checksum(self, tokens: Sequence[int]) -> int:
        """From 0 to 2 ** 32 - 1."""
        return zlib.crc32(" ".join(map(str, [self._seed, *tokens])).encode())
