"""What an evaluation takes: generations and their tokens counted, and the time limited."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evomerge.errors import ConfigError, DeadlineExceeded
from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Report, Selection, Split, TaskScore, TokenCount
from evomerge.evaluators.live_model import Generation, LiveModel, LogProb, Sampling

__all__ = ["MeteredModel", "repeats"]

LONGEST_UNIT = 16
"""Characters of what is said over and over: a token or a few."""
TIMES = 8
"""So often it has to be said: `1000000` and `no, no, no` are answers."""


def repeats(generation: Generation) -> bool:
    """Whether an answer was cut off while its second half was one short text over and over."""
    if not generation.truncated:
        return False
    text = generation.text.strip()
    half = text[len(text) // 2 :]
    units = range(1, min(LONGEST_UNIT, len(half) // TIMES) + 1)
    return any(half[unit:] == half[:-unit] for unit in units)


class MeteredModel:
    """The live model for one evaluation; every call may raise `DeadlineExceeded`.

    `deadline_s`: seconds from now; the clock is looked at before each call and between the model's
    steps. An evaluator makes one around the model that it is given.
    """

    def __init__(
        self,
        model: LiveModel,
        deadline_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._deadline_s, self._clock = model, deadline_s, clock
        self._start = clock()
        self._generations = self._truncated = self._tokens = self._read = 0
        self._silent = self._repeating = 0
        self._generating_s = 0.0

    @property
    def tokenizer(self) -> Any:
        """The model's own, the same object: evaluators know a model by it."""
        return self._model.tokenizer

    @property
    def module(self) -> Any:
        """The model itself, where the engine has one in this process.

        Raises:
            ConfigError: the engine has none to give.
            DeadlineExceeded: the evaluation has taken too long.
        """
        self.check()
        module = getattr(self._model, "module", None)
        if module is None:
            raise ConfigError(
                "model.module: this engine gives none; take engine: {kind: transformers}"
            )
        return module

    @property
    def max_length(self) -> int:
        """Most tokens, prompt and continuation together."""
        return self._model.max_length

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """As `LiveModel.generate`, counted.

        Raises:
            DeadlineExceeded: the evaluation has taken too long.
        """
        start = self._clock()
        generations = self._model.generate(prompts, samplings, *self._watch(between_steps))
        self._generating_s += self._clock() - start
        self._read += sum(map(len, prompts))
        self._tokens += sum(generation.tokens for generation in generations)
        self._generations += len(generations)
        self._truncated += sum(generation.truncated for generation in generations)
        self._silent += sum(not generation.text.strip() for generation in generations)
        self._repeating += sum(map(repeats, generations))
        return generations

    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """As `LiveModel.logprobs`, counted.

        Raises:
            DeadlineExceeded: the evaluation has taken too long.
        """
        logprobs = self._model.logprobs(pairs, *self._watch(between_steps))
        self._read += sum(len(context) + len(scored) for context, scored in pairs)
        return logprobs

    def check(self) -> None:
        """Raises: DeadlineExceeded: the evaluation has taken too long."""
        if self._deadline_s is not None and self._clock() - self._start >= self._deadline_s:
            raise DeadlineExceeded(
                f"not scored within {self._deadline_s:g} s of evaluation; does it generate without"
                " an end, or is the deadline too short?"
            )

    def report(
        self,
        split: Split,
        tasks: Mapping[str, TaskScore],
        places: Selection | None,
        answers: Answers | None = None,
    ) -> Report:
        """The scores, with what they took."""
        costs = {}
        if self._generating_s > 0 and self._tokens:
            costs["tokens_per_second"] = self._tokens / self._generating_s
        return Report(
            split=split,
            tasks=tasks,
            truncated=self._truncated / max(self._generations, 1),
            silent=self._silent / max(self._generations, 1),
            repeating=self._repeating / max(self._generations, 1),
            seconds={"evaluate": self._clock() - self._start, "generate": self._generating_s},
            costs=costs,
            tokens=TokenCount(read=self._read, generated=self._tokens),
            places=places,
            answers=answers or {},
        )

    def _watch(self, between_steps: Callable[[], None] | None) -> tuple[Callable[[], None], ...]:
        """What the model is to call between its batches, if anything."""
        self.check()
        if self._deadline_s is None:
            return () if between_steps is None else (between_steps,)

        def watch() -> None:
            self.check()
            if between_steps:
                between_steps()

        return (watch,)
