"""Constraints told to optimizers that know none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.penalised import Penalised
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import FloatGene, Genome

GENES = (FloatGene(name="x", low=0.0, high=1.0), FloatGene(name="y", low=0.0, high=1.0))


class Hearing:
    """Remembers what it is told."""

    least = 7

    def __init__(self) -> None:
        self.heard: list[tuple[float, ...] | None] = []

    def ask(self, limit: int) -> list[Proposal]:
        return []

    def tell(self, results: Sequence[Result]) -> None:
        if any(result.id < 0 for result in results):
            raise ValueError("never asked")
        self.heard += [result.fitness for result in results]

    def observe(self, observation: Observation) -> None:
        self.heard.append(observation.fitness)

    def recommend(self) -> Genome | None:
        return None


def test_what_breaks_a_constraint_is_below_all_that_keep_them_by_its_size() -> None:
    inner = Hearing()
    optimizer = Penalised(inner)
    optimizer.observe(Observation((0.0, 0.0), (0.2,), violations=(-0.1, 0.0)))
    optimizer.tell([Result(0, (0.6,), violations=(0.0, -1.0))])
    optimizer.tell([Result(1, (0.9,), violations=(0.25, -1.0)), Result(2, None)])
    optimizer.tell([Result(3, (0.1,), violations=(0.5, 0.25))])
    assert inner.heard == [(0.2,), (0.6,), pytest.approx((-0.75,)), None, pytest.approx((-1.25,))]


def test_what_is_refused_has_changed_nothing() -> None:
    inner = Hearing()
    optimizer = Penalised(inner)
    optimizer.tell([Result(0, (0.5,))])
    with pytest.raises(ValueError, match="never asked"):
        optimizer.tell([Result(1, (0.1,)), Result(-1, (-9.0,))])
    optimizer.tell([Result(2, (0.9,), violations=(0.5,))])
    assert inner.heard == [(0.5,), pytest.approx((0.5 - 0.4 - 0.5,))]


def test_the_floor_sinks_below_whatever_is_allowed() -> None:
    inner = Hearing()
    optimizer = Penalised(inner)
    optimizer.tell([Result(0, (-1.0,), violations=(0.5,))])
    optimizer.tell([Result(1, (-9.0,)), Result(2, (-5.0,), violations=(0.25,))])
    assert inner.heard == [(-2.5,), (-9.0,), (-9.0 - 8.0 - 0.25,)]


def test_what_the_optimizer_says_of_itself_is_still_said() -> None:
    assert Penalised(Hearing()).least == 7
    assert not hasattr(Penalised(Hearing()), "most")


def test_who_takes_constraints_is_told_them_and_who_goes_by_examples_is_refused() -> None:
    plain = make(configure("cma_es", origin="o"), GENES, seed=0, constraints=1)
    assert isinstance(plain, Penalised)
    own = make(configure({"kind": "optuna", "sampler": "tpe"}, origin="o"), GENES, seed=0,
               constraints=1)  # fmt: skip
    assert not isinstance(own, Penalised)
    with pytest.raises(ConfigError, match="map_elites compares candidates by single examples"):
        make(configure("map_elites", origin="o"), GENES, seed=0, constraints=1)
