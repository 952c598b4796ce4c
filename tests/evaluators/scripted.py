"""An engine without a model: a function answers, and what was asked is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evomerge.engines.base import WeightSource
from evomerge.evaluators.live_model import Generation, LogProb, Sampling

__all__ = ["ScriptedEngine"]


class ScriptedEngine:
    def __init__(self, tokenizer: Any, result: Callable[[str], str] = str) -> None:
        self.tokenizer = tokenizer
        self.max_length = 2000
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        self.score = LogProb(-1.0, False)
        self._answer = result

    def load(self, weights: WeightSource) -> None:
        raise NotImplementedError

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """One batch; an empty answer counts as cut off."""
        if between_steps:
            between_steps()
        asked = [str(self.tokenizer.decode(prompt)) for prompt in prompts]
        self.prompts += asked
        self.samplings += samplings
        results = [self._answer(prompt) for prompt in asked]
        return [Generation(result, len(result), not result) for result in results]

    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        if between_steps:
            between_steps()
        return [self.score for _ in pairs]

    def close(self) -> None:
        pass
