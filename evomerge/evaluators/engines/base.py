"""The engine contract: one live model whose weights are swapped in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Engine", "Generation", "LogProb", "Sampling", "WeightSource"]


class WeightSource(Protocol):
    """Weights made where the engine lives. Picklable: what crosses a process is configuration."""

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        """(checkpoint name, tensor), each tensor of the model once, in checkpoint order.

        `device`: where the engine would like them to be made; they may come from elsewhere.
        A tensor stays as it was given: an engine may keep several before it uses them.
        """


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to continue a prompt. Greedy unless a temperature is given."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
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


class Engine(Protocol):
    """One live model runtime. Weights are swapped in place; prompts are token ids."""

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer of the model family (with its chat template)."""

    @property
    def max_length(self) -> int:
        """Most tokens, prompt and continuation together."""

    def load(self, weights: WeightSource) -> None:
        """Replace every weight and forget every cache that the old ones filled.

        Raises:
            CandidateError: a tensor is not finite or does not fit.
        """

    def generate(
        self, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]
    ) -> list[Generation]:
        """Continue each prompt by its own sampling; answers in the order of the prompts."""

    def logprobs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[LogProb]:
        """Score each (context, continuation); a context holds at least one token."""

    def close(self) -> None:
        """Free the runtime; the engine may not be used again."""
