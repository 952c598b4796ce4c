from __future__ import annotations

import importlib.util
from contextlib import nullcontext as does_not_raise
from typing import Any

import numpy as np
import optuna
import pytest

from evomerge.conformance.optimizers import FLOATS, LAWS, MIXED, Subject, fitness_of
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Fitness, Observation, Optimizer, Result
from evomerge.optimizers.optuna import Optuna, OptunaConfig
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import ChoiceGene, Genome


def sampler(name: str, options: dict[str, Any] | None = None, **changes: Any) -> Optuna:
    config = OptunaConfig(sampler=name, options=options or {})
    return Optuna(config, Problem(**{"genes": MIXED, "seed": 7, **changes}))


@pytest.mark.parametrize(
    ("name", "options", "law"),
    [
        (
            "TPESample",
            {},
            "optimizer.sampler: optuna has no sampler 'TPESample'; did you mean 'TPESampler'",
        ),
        ("BaseSampler", {}, "optuna has no sampler 'BaseSampler'"),
        ("TPESampler", {"constant_lie": True}, "no option 'constant_lie'; did you mean 'constant_"),
        ("PartialFixedSampler", {}, "PartialFixedSampler does not fit this search"),
        ("BruteForceSampler", {}, "BruteForceSampler does not fit this search"),
    ],
)
def test_what_cannot_be_is_said_at_once(name: str, options: dict[str, Any], law: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sampler(name, options)
    assert law in str(caught.value)


@pytest.mark.parametrize("name", ["tpe", "TPE", "TPESampler", "tpe_sampler"])
def test_a_sampler_may_be_named_as_people_write_it(name: str) -> None:
    assert type(sampler(name).in_memory.sampler).__name__ == "TPESampler"


def test_options_may_stand_beside_the_sampler() -> None:
    nested = {"kind": "optuna", "sampler": "tpe", "options": {"n_startup_trials": 20}}
    flat = {"kind": "optuna", "sampler": "tpe", "n_startup_trials": 20}
    config = configure(flat, origin="job")
    assert config == configure(nested, origin="job")
    assert config.model_dump() == nested
    mixed = {**nested, "multivariate": True}
    options = configure(mixed, origin="job").model_dump()["options"]
    assert options == {"n_startup_trials": 20, "multivariate": True}
    with pytest.raises(ConfigError, match="n_startup_trials: stands here and under options"):
        configure({**nested, "n_startup_trials": 3}, origin="job")


def test_options_reach_the_sampler() -> None:
    """With two startup trials the third is modelled, so that it depends on the answers."""

    def third(sign: int) -> Any:
        optimizer = sampler("TPESampler", {"n_startup_trials": 2}, genes=FLOATS)
        for _ in range(2):
            (q,) = optimizer.ask(1)
            optimizer.tell([Result(q.id, (sign * fitness_of(q.genome)[0],))])
        return optimizer.ask(1)

    assert third(1) != third(-1)


def test_more_is_better() -> None:
    optimizer = sampler("TPESampler", genes=FLOATS)
    losses = []
    for _ in range(80):
        (q,) = optimizer.ask(1)
        losses.append(-fitness_of(q.genome)[0])
        optimizer.tell([Result(q.id, (-losses[-1],))])
    assert np.mean(losses[60:]) < np.mean(losses[:10]) / 3


def test_observations_and_failures_are_trials_of_its_study() -> None:
    optimizer = sampler("TPESampler")
    optimizer.observe(Observation(("ties", 0.1, 0.2, 0.3, "sum"), (0.5,)))
    proposals = optimizer.ask(2)
    assert [q.id for q in proposals] == [0, 1]
    optimizer.tell([Result(1, None), Result(0, (0.25,))])
    states = [trial.state.name for trial in optimizer.in_memory.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL"]
    assert optimizer.in_memory.best_trial.params["x1"] == 0.2


PATH = tuple(ChoiceGene(name=f"s{i}", choices=("skip", "run")) for i in range(40))


def accuracy_and_shortness(genome: Genome) -> Fitness:
    """The first twenty layers are worth something, the more the earlier; every hop costs."""
    runs = [value == "run" for value in genome]
    worth = sum((20 - i) / 210 for i in range(20) if runs[i])
    return worth, -float(sum(runs))


def front(optimizer: Optimizer, proposals: int) -> list[Fitness]:
    """Fitnesses of which no other is better in both."""
    found: list[Fitness] = []
    while len(found) < proposals:
        batch = optimizer.ask(8)
        results = [Result(q.id, accuracy_and_shortness(q.genome)) for q in batch]
        optimizer.tell(results)
        found += [result.fitness for result in results if result.fitness]
    return [a for a in found if not any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in found)]


def area(points: list[Fitness]) -> float:
    """Between the front and (0, -40)."""
    total, reached = 0.0, -40.0
    for worth, shortness in sorted(set(points), reverse=True):
        if shortness > reached:
            total, reached = total + worth * (shortness - reached), shortness
    return total


def two_objectives(kind: dict[str, Any], seed: int = 1) -> Optimizer:
    config = configure(kind, origin="test")
    return make(config, PATH, seed=seed, objectives=2, workers=8, budget=600)


NSGA: dict[str, Any] = {
    "kind": "optuna",
    "sampler": "NSGAIISampler",
    "options": {"population_size": 24},
}


@pytest.mark.slow
def test_a_front_of_accuracy_and_path_length() -> None:
    found = front(two_objectives(NSGA), 600)
    assert area(found) > 1.25 * area(front(two_objectives({"kind": "random"}), 600))
    assert len(set(found)) >= 5, "several compromises"


def test_a_genetic_sampler_takes_observations_into_its_first_generation() -> None:
    optimizer = two_objectives(NSGA)
    assert isinstance(optimizer, Optuna)
    short = ("run",) * 4 + ("skip",) * 36
    optimizer.observe(Observation(short, accuracy_and_shortness(short)))
    front(optimizer, 32)
    study = optimizer.in_memory
    first = study.sampler.get_population(study, 0)
    assert len(first) >= 24
    assert first[0].number == 0
    assert list(first[0].params.values()) == list(short)


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    sampler("TPESampler", {"multivariate": True}).ask(2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


@pytest.mark.skipif(
    importlib.util.find_spec("cmaes") is not None, reason="its dependency is installed"
)
def test_a_missing_dependency_is_named() -> None:
    with pytest.raises(ConfigError, match=r"CmaEsSampler does not fit this search: .*cmaes"):
        sampler("CmaEsSampler", genes=FLOATS)


@pytest.mark.skipif(importlib.util.find_spec("cmaes") is None, reason="it needs the package")
def test_optunas_own_cma_es() -> None:
    optimizer = sampler("CmaEsSampler", {"n_startup_trials": 4}, genes=FLOATS)
    losses = []
    for _ in range(120):
        (q,) = optimizer.ask(1)
        losses.append(-fitness_of(q.genome)[0])
        optimizer.tell([Result(q.id, (-losses[-1],))])
    assert np.mean(losses[100:]) < np.mean(losses[:10]) / 3


@pytest.mark.slow
def test_the_gaussian_process_replays() -> None:
    """It fits with torch."""
    config = OptunaConfig(sampler="GPSampler", options={"n_startup_trials": 6})
    subject = Subject(make=lambda problem: Optuna(config, problem), genes=MIXED, budget=10)
    with does_not_raise():
        LAWS["replays"](subject)


def test_a_genetic_sampler_breeds_from_observations_that_keep_constraints() -> None:
    optimizer = sampler("NSGAIISampler", {"population_size": 6}, genes=FLOATS, constraints=1)
    for number in range(6):
        for x, missed in ((0.3 + number / 50, 0.0), (0.9 + number / 100, 0.4)):
            genome = (x,) * len(FLOATS)
            optimizer.observe(Observation(genome, (x,), violations=(missed,)))
    asked = np.array([q.genome for q in optimizer.ask(20)], dtype=float)
    assert np.median(asked) < 0.5


def test_a_genetic_sampler_keeps_to_constraints() -> None:
    """It breeds from what keeps them, though what breaks them is fitter; observations count."""
    optimizer = sampler("NSGAIISampler", {"population_size": 6}, genes=FLOATS, constraints=1)
    assert optimizer.takes_constraints
    best = (0.5,) * len(FLOATS)
    optimizer.observe(Observation(best, (0.5,), violations=(0.0,)))
    optimizer.observe(Observation((0.9,) * len(FLOATS), (0.9,), violations=(0.4,)))
    asked = []
    for _ in range(60):
        (proposal,) = optimizer.ask(1)
        asked.append(float(proposal.genome[0]))
        optimizer.tell([Result(proposal.id, (asked[-1],), violations=(asked[-1] - 0.5,))])
    assert sum(x <= 0.5 for x in asked[-12:]) >= 9
    assert max(x for x in asked[-12:] if x <= 0.5) > 0.4, "and it still climbs"
    assert not sampler("CmaEsSampler", genes=FLOATS, constraints=1).takes_constraints
