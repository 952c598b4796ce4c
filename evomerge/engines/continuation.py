"""One prompt being continued by an engine of ours, token by token; what is chosen and scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from evomerge.engines.stopping import Stop, text_of
from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling

__all__ = ["Continuation", "ScoredPair", "chosen", "scored"]


class Continuation:
    """Takes tokens until a stop or the limit."""

    def __init__(
        self, index: int, prompt: Sequence[int], sampling: Sampling, stop: Stop, tokenizer: Any
    ) -> None:
        self.index, self.prompt, self.sampling = index, list(prompt), sampling
        self.tokens: list[int] = []
        self.done = False
        self._stop, self._tokenizer = stop, tokenizer
        self._stopped = False

    @property
    def length(self) -> int:
        """Tokens it may come to, the prompt included."""
        return len(self.prompt) + self.sampling.max_new_tokens

    def add(self, token: int) -> None:
        """Take the next token of the answer."""
        if self.done:
            return
        self.tokens.append(token)
        self._stopped = token in self._stop.tokens or self._has_stop_string()
        self.done = self._stopped or len(self.tokens) == self.sampling.max_new_tokens

    def draw(self, logits: Tensor) -> int:
        """A token from (vocabulary,) logits, by temperature, top_p and the sampling's seed."""
        likely = (logits.float() / self.sampling.temperature).softmax(-1)
        ranked, order = likely.sort(descending=True)
        before = ranked.cumsum(-1) - ranked
        nucleus = ranked.where(before < self.sampling.top_p, 0)
        drawn = torch.multinomial(nucleus.cpu(), 1, generator=self._generator)
        return int(order[drawn.to(order.device)])

    def result(self) -> Generation:
        """The answer so far: its text without the stop string, its tokens, and whether it was
        cut off.
        """
        text = text_of(self.tokens, self._stop, self._tokenizer)
        return Generation(text, len(self.tokens), not self._stopped)

    @cached_property
    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.sampling.seed)

    def _has_stop_string(self) -> bool:
        if not self._stop.all_strings:
            return False
        tail = self.tokens[-self._stop.window :]
        text: str = self._tokenizer.decode(
            tail, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return any(string in text for string in self._stop.all_strings)


@dataclass(frozen=True)
class ScoredPair:
    """A continuation to be scored after its context."""

    index: int
    """Its place among those that were asked for."""
    context: list[int]
    rest: list[int]

    @classmethod
    def longest_first(cls, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Self]:
        """All of (context, continuation), as tokens, in the order in which they make batches."""
        asked = [cls(index, [*context], [*rest]) for index, (context, rest) in enumerate(pairs)]
        return sorted(asked, key=lambda pair: (-pair.length, pair.index))

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.context) + len(self.rest)


def chosen(batch: Sequence[Continuation], logits: Tensor) -> list[int]:
    """The next token of each row of (batch, vocabulary) logits.

    Raises:
        CandidateError: finite weights can still overflow on their way through the layers.
    """
    best, tokens = logits.max(dim=-1)
    if not torch.isfinite(best).all():
        raise CandidateError("the model's output is not finite")
    picked: list[int] = tokens.tolist()
    for row, task in enumerate(batch):
        if task.sampling.temperature > 0:
            picked[row] = task.draw(logits[row])
    return picked


def scored(tokens: Sequence[int], logits: Tensor) -> LogProb:
    """The tokens' log-probability by (tokens, vocabulary) logits, each row that of its own token.

    Raises:
        CandidateError: it is not finite.
    """
    predicted, said = logits.float(), torch.tensor(tokens, dtype=torch.long, device=logits.device)
    own = predicted.gather(-1, said[:, None])[:, 0] - predicted.logsumexp(-1)
    total = float(own.sum())
    if not math.isfinite(total):
        raise CandidateError("the model's output is not finite")
    return LogProb(total, bool((predicted.argmax(-1) == said).all()))
