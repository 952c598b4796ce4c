"""What an evaluator needs of a model: it generates, and gives log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Generation", "LiveModel", "LogProb", "Sampling"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to continue a prompt. Greedy unless a temperature is given."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Texts that end an answer and are no part of it."""
    decided: tuple[str, ...] = ()
    """Texts that end an answer and are its last part: what comes after them changes no score."""
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Generation:
    """A continuation without the stop string; `truncated` where the token limit cut it off."""

    text: str
    tokens: int
    truncated: bool


@dataclass(frozen=True)
class LogProb:
    """Sum of a continuation's token log-probabilities (nats), and whether greedy would say it."""

    total: float
    greedy: bool


class LiveModel(Protocol):
    """A model that answers now: it continues prompts and scores continuations, as token ids."""

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer of the model family (with its chat template)."""

    @property
    def max_length(self) -> int:
        """Most tokens, prompt and continuation together."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """Continue each prompt by its own sampling; answers in the order of the prompts.

        `between_steps` is called before each batch, by an engine that can also before each of its
        tokens; what it raises ends the call.
        """

    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """Score each (context, continuation); a context holds at least one token.

        `between_steps` is called before each batch; what it raises ends the call.
        """
