"""The suite of engines notices what breaks a law, from outside as a plugin would use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from evomerge.conformance.engines import LAWS, EngineLawBroken, EngineSubject, subjects
from evomerge.engines.base import Engine, WeightSource
from evomerge.engines.config import EngineConfig
from evomerge.engines.transformers import TransformersEngine
from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling

CPU = EngineConfig(kind="transformers", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineSubject]:
    folder = tmp_path_factory.mktemp("models")
    yield from subjects(lambda model: TransformersEngine(CPU, model), folder)


class Broken:
    """An engine that does one thing otherwise."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def tokenizer(self) -> Any:
        return self.engine.tokenizer

    @property
    def max_length(self) -> int:
        return self.engine.max_length

    @property
    def holds(self) -> str | None:
        return self.engine.holds

    def expect(self, digest: str | None) -> None:
        self.engine.expect(digest)

    def load(self, weights: WeightSource) -> None:
        self.engine.load(weights)

    def generate(
        self, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]
    ) -> list[Generation]:
        return self.engine.generate(prompts, samplings)

    def logprobs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[LogProb]:
        return self.engine.logprobs(pairs)

    def close(self) -> None:
        self.engine.close()


class Lenient(Broken):
    def load(self, weights: WeightSource) -> None:
        try:
            self.engine.load(weights)
        except CandidateError:
            return


class Stubborn(Broken):
    """Keeps the first weights."""

    def load(self, weights: WeightSource) -> None:
        if not hasattr(self, "given"):
            self.given = weights
        self.engine.load(self.given)


class Deaf(Broken):
    """Hears no stop string."""

    def generate(
        self, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]
    ) -> list[Generation]:
        return self.engine.generate(prompts, [replace(one, stop=()) for one in samplings])


class Cold(Broken):
    """Never draws."""

    def generate(
        self, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]
    ) -> list[Generation]:
        return self.engine.generate(prompts, [replace(one, temperature=0.0) for one in samplings])


class Shifted(Broken):
    def logprobs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[LogProb]:
        return [replace(one, total=one.total + 0.01) for one in self.engine.logprobs(pairs)]


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Lenient, "refuses_what_is_not_finite"),
        (Stubborn, "load_replaces_every_weight"),
        (Deaf, "a_stop_string_ends_and_is_left_out"),
        (Cold, "temperature_draws_by_seed"),
        (Shifted, "scores_continuations"),
    ],
)
def test_the_suite_notices(
    subject: EngineSubject, broken: Callable[[Engine], Engine], law: str
) -> None:
    LAWS[law](subject)
    with pytest.raises(EngineLawBroken):
        LAWS[law](replace(subject, engine=broken(subject.engine)))
