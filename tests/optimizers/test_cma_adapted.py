from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS, MIXED
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Result
from evomerge.optimizers.cma_es import CmaEs, CmaEsConfig
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.registry import configure


def cma_es(seed: int = 7, **options: Any) -> CmaEs:
    return CmaEs(CmaEsConfig(**options), Problem(genes=FLOATS, seed=seed))


def distance_after(optimizer: CmaEs, seed: int, generations: int = 60) -> float:
    """Of the mean from 0.3, under noise as wide as the first generation's differences."""
    rng = np.random.default_rng(seed)
    for _ in range(generations):
        proposals = optimizer.ask(100)
        results = []
        for q in proposals:
            x = np.array(q.genome, dtype=float)
            results.append(Result(q.id, (float(-((x - 0.3) ** 2).sum() + 0.15 * rng.normal()),)))
        optimizer.tell(results)
    mean = np.array(optimizer.recommend(), dtype=float)
    return float(np.linalg.norm(mean - 0.3))


def test_under_noise_the_mean_comes_nearer_than_the_plain_one() -> None:
    plain = [distance_after(cma_es(seed), seed) for seed in range(6)]
    adapted = [distance_after(cma_es(seed, lr_adapt=True), seed) for seed in range(6)]
    assert np.mean(adapted) < 0.8 * np.mean(plain)


def test_the_first_generation_is_the_plain_one_s_distribution() -> None:
    points = np.array([q.genome for q in cma_es(popsize=3000, lr_adapt=True).ask(3000)])
    assert np.allclose(points.astype(float).mean(0), 0.5, atol=0.02)
    assert np.allclose(points.astype(float).std(0), 1 / 6, atol=0.01)


def test_the_best_observation_is_in_the_first_generation_where_it_is_near() -> None:
    near, far = (0.45,) * 6, (1.0,) * 6
    for known in (near, far):
        optimizer = cma_es(lr_adapt=True)
        optimizer.observe(Observation(known, (1.0,)))
        first = optimizer.ask(9)[0].genome
        assert (first == known) == (known == near)
        assert len(set(np.round(np.array(first, dtype=float), 9))) == 1


def test_an_observation_is_near_by_the_steps_of_each_gene() -> None:
    """The same step is a long one along a gene of little importance."""
    importance = (1.0, *[0.05] * 5)
    for gene, is_near in ((0, True), (5, False)):
        problem = Problem(genes=FLOATS, seed=7, importance=importance)
        optimizer = CmaEs(CmaEsConfig(lr_adapt=True), problem)
        known = tuple(0.1 if at == gene else 0.5 for at in range(6))
        optimizer.observe(Observation(known, (1.0,)))
        first = optimizer.ask(9)[0].genome
        assert (first == known) == is_near
        assert [x == 0.5 for x in first] == [at != gene for at in range(6)]


def test_a_run_that_sees_no_difference_starts_over_elsewhere() -> None:
    optimizer, middles = cma_es(lr_adapt=True), []
    for _ in range(60):
        asked = optimizer.ask(100)
        middles.append(np.array([q.genome for q in asked], dtype=float).mean(axis=0))
        optimizer.tell([Result(q.id, (0.5,)) for q in asked])
    assert np.linalg.norm(np.diff(middles, axis=0), axis=1).max() > 0.5


def test_choices_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"lr_adapt is for spaces of numbers, and 'method' is"):
        CmaEs(CmaEsConfig(lr_adapt=True), Problem(genes=MIXED, seed=1))


@pytest.mark.parametrize("other", ["covariance", "asynchronous", "conditional"])
def test_it_goes_with_the_plain_update_alone(other: str) -> None:
    options = {"kind": "cma_es", "lr_adapt": True}
    options[other] = "separable" if other == "covariance" else True
    with pytest.raises(ConfigError, match=f"lr_adapt does not go with {other}"):
        configure(options, origin="job")
