from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Report
from evomerge.optimizers.base import Fitness, Observation, Optimizer, Proposal, Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import FloatGene, Genome
from evomerge.recipe.source import Source
from evomerge.study.candidate import Candidate, Proposer
from evomerge.study.record import Study
from evomerge.study.replay import restore

GENES = tuple(FloatGene(name=name, low=0.0, high=1.0) for name in ("x", "y", "z"))


class Generational:
    """Generations of four around the best point so far: what it asks depends on all it heard."""

    def __init__(self, seed: int = 3) -> None:
        self._mean = (0.5, 0.5, 0.5)
        self._random = random.Random(seed)
        self._questions: list[Proposal] = []
        self._told: dict[int, Fitness | None] = {}

    def ask(self, limit: int) -> list[Proposal]:
        new: list[Proposal] = []
        while len(new) < limit and not self._waits():
            genome = tuple(x + self._random.uniform(-0.1, 0.1) for x in self._mean)
            new.append(Proposal(len(self._questions), genome))
            self._questions.append(new[-1])
        return new

    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.id in self._told or result.id >= len(self._questions):
                raise ValueError(f"question {result.id} is not open")
            self._check(result.fitness)
            self._told[result.id] = result.fitness
        if len(self._questions) % 4 == 0 and not self._waits():
            scored = [one for one in sorted(self._told.items()) if one[1] is not None]
            best = max(scored, key=lambda one: one[1] or ())[0] if scored else 0
            x, y, z = self._questions[best].genome
            self._mean = (float(x), float(y), float(z))

    def observe(self, observation: Observation) -> None:
        if self._questions:
            raise ValueError("observations come before the first question")
        self._check(observation.fitness)
        x, y, z = observation.genome
        self._mean = (float(x), float(y), float(z))

    def recommend(self) -> Genome | None:
        return self._mean

    def _check(self, fitness: Fitness | None) -> None:
        if fitness is not None and len(fitness) != 1:
            raise ValueError("one objective only")

    def _waits(self) -> bool:
        return len(self._questions) % 4 == 0 and len(self._told) < len(self._questions)


def built_in(**config: object) -> Callable[[], Optimizer]:
    parsed = configure(config, origin="test")
    return lambda: make(parsed, GENES, seed=5, budget=60, workers=3)


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "toy": Generational,
    "cma_es": built_in(kind="cma_es", popsize=6),
    "nevergrad": built_in(kind="nevergrad", optimizer="TwoPointsDE"),
    "optuna": built_in(kind="optuna", sampler="TPESampler"),
    "random": built_in(kind="random"),
    "random_merge": built_in(kind="random_merge", mutation=0.1),
}


def drive(optimizer: Optimizer, study: Study, report: Report, *, tells: int, seed: int) -> None:
    """Search with three workers that answer in any order and fail now and then."""
    chance = random.Random(seed)
    for _ in range(tells):
        while len(study.unfinished()) < 3 and (asked := optimizer.ask(1)):
            study.ask(
                proposed_by="optimizer",
                proposal=asked[0].id,
                genome=asked[0].genome,
                recipe=Source(model="m"),
            )
        one = chance.choice(study.unfinished())
        assert one.proposal is not None
        if chance.random() < 0.2:
            study.tell(one.number, Failure(cause="candidate", message="no"), None, worker="w")
            optimizer.tell([Result(one.proposal, None)])
        else:
            fitness = (-sum((float(x) - 0.7) ** 2 for x in one.genome),)
            study.tell(one.number, report, fitness, worker="w")
            optimizer.tell([Result(one.proposal, fitness)])


def warm_up(optimizer: Optimizer, study: Study, report: Report) -> None:
    """Landmarks in flight at once: one fails, and the last comes back first."""
    points: list[Genome] = [(0.2, 0.3, 0.4), (0.6, 0.5, 0.4), (0.0, 0.0, 1.0)]
    for point in points:
        study.ask(proposed_by="landmark", genome=point, recipe=Source(model="m"))
    study.tell(2, report, (-2.0,), worker="w")
    study.tell(1, Failure(cause="candidate", message="no"), None, worker="w")
    study.tell(0, report, (-1.0,), worker="w")
    optimizer.observe(Observation(points[0], (-1.0,)))
    optimizer.observe(Observation(points[2], (-2.0,)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_restored_optimizer_goes_on_as_the_first_would_have(
    tmp_path: Path, report: Report, kind: str
) -> None:
    optimizer = OPTIMIZERS[kind]()
    with Study.create(tmp_path / "one", name="one", job={}, genes=GENES) as study:
        warm_up(optimizer, study, report)
        drive(optimizer, study, report, tells=23, seed=0)
        study.ask(proposed_by="finalist", genome=(0.5, 0.5, 0.5), recipe=Source(model="m"))
        study.tell(len(study.candidates()) - 1, report, (9.0,), worker="w")
        copytree(study.path, tmp_path / "two")
        drive(optimizer, study, report, tells=20, seed=1)
        straight = study.candidates()

    restored = OPTIMIZERS[kind]()
    with Study.open(tmp_path / "two", write=True) as study:
        restore(restored, study.candidates())
        drive(restored, study, report, tells=20, seed=1)
        resumed = study.candidates()

    assert [one.genome for one in resumed] == [one.genome for one in straight]
    assert [one.fitness for one in resumed] == [one.fitness for one in straight]
    assert restored.recommend() == optimizer.recommend()


@pytest.fixture
def recorded(tmp_path: Path, report: Report) -> list[Candidate]:
    with Study.create(tmp_path / "one", name="one", job={}, genes=GENES) as study:
        drive(Generational(), study, report, tells=9, seed=0)
        return study.candidates()


def test_another_genome_is_an_error_that_names_it(recorded: list[Candidate]) -> None:
    changed = replace(recorded[6], genome=(recorded[6].genome[0], 0.125, 0.0))
    with pytest.raises(RecordError, match=r"candidate 6 was recorded with 0\.125 for the gene 'y'"):
        restore(Generational(), [*recorded[:6], changed, *recorded[7:]])


def test_another_seed_is_found_at_the_first_question(recorded: list[Candidate]) -> None:
    with pytest.raises(RecordError, match=r"candidate 0 was recorded with .* gene 'x'"):
        restore(Generational(seed=4), recorded)


def test_another_question_is_an_error(recorded: list[Candidate]) -> None:
    started = Generational()
    started.ask(1)
    with pytest.raises(RecordError, match=r"recorded as question 0, but .* asks question 1"):
        restore(started, recorded)


def test_another_space_is_an_error(recorded: list[Candidate]) -> None:
    changed = replace(recorded[0], genome=(0.5,))
    with pytest.raises(RecordError, match="recorded with 1 genes, but the optimizer asks 3"):
        restore(Generational(), [changed, *recorded[1:]])


def test_an_optimizer_without_a_question_is_an_error(recorded: list[Candidate]) -> None:
    untold = [replace(one, told=None, asked=one.number) for one in recorded]
    with pytest.raises(RecordError, match=r"candidate 4 .* has no question now"):
        restore(Generational(), untold)


@pytest.mark.parametrize("proposed_by", ["landmark", "optimizer"])
def test_a_refused_fitness_is_an_error(recorded: list[Candidate], proposed_by: Proposer) -> None:
    first = next(one for one in recorded if one.fitness is not None)
    wrong = replace(first, proposed_by=proposed_by, fitness=(0.0, 0.0))
    rest = [one for one in recorded if one is not first]
    message = rf"candidate {first.number}: .* refuses the recorded fitness \(0\.0, 0\.0\)"
    with pytest.raises(RecordError, match=message):
        restore(Generational(), [wrong, *rest])
