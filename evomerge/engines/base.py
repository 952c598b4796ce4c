"""The engine contract: one live model whose weights are swapped in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from evomerge.recipe.layer_path import Room, Route

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DataFlowEngine", "Engine", "Generation", "LogProb", "Sampling", "WeightSource"]


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


class DataFlowEngine(Engine, Protocol):
    """An engine whose model is a pool of layers, of which a route says what runs.

    `load` takes a model of `room.layers` layers. Before the first `route` the path is the pool's
    first layer alone, and means nothing.
    """

    @property
    def room(self) -> Room:
        """Layers in the pool, and most hops of a route."""

    def route(self, route: Route) -> None:
        """Take another path from now on, and forget every cache that the old one filled.

        Raises:
            CandidateError: the route is empty, has more hops than the room, or names a layer that
                is not in the pool. The old path stays.
        """
