"""The published experiment: its exact parts, and short runs of its methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brute_force import brute_force
from contestants import PRE_TRAINED, REACH, SCRATCH, STD, FullCmaEs, SepCmaEs, optimizer
from course import Mark, checkpoints, course, genome, weights
from digit_data import Images, published_split
from network import PARAMETERS, accuracy, initial, solved, trained
from published_seeds import published_pair, threefry

from evomerge.optimizers.base import Result

TRAINING, TEST = published_split()


@pytest.fixture(scope="module")
def pair() -> Any:
    return published_pair(TRAINING)


def test_the_published_data_and_network() -> None:
    assert PARAMETERS == 65 * 256 + 257 * 10 == 19_210
    assert (len(TRAINING.labels), len(TEST.labels)) == (1437, 360)
    assert TRAINING.pixels.max() == 16, "not scaled"
    assert TRAINING.labels[:5].tolist() == [0, 1, 2, 3, 4], "not shuffled"


def test_the_flat_order_is_that_of_the_released_code() -> None:
    """W1 by rows, b1, W2 by rows, b2: a network written out by hand."""
    w1, w2 = np.zeros((64, 256)), np.zeros((256, 10))
    b1, b2 = np.zeros(256), np.zeros(10)
    w1[3, 5], b1[5], w2[5, 7], b2[2] = 2.0, -1.0, 1.0, 4.0
    flat = np.concatenate([w1.ravel(), b1, w2.ravel(), b2])
    pixels = np.zeros((3, 64), dtype=np.float32)
    pixels[:, 3] = [0.0, 2.4, 2.6]  # 2 x - 1 is over 4 from 2.5 on
    assert solved(flat[None], Images(pixels, np.array([2, 2, 7]))).all()
    assert solved(np.stack([flat, -flat]), Images(pixels, np.array([2, 2, 7]))).sum() < 6


def test_threefry_gives_its_authors_answers() -> None:
    """The known-answer vectors of Random123, 20 rounds."""

    def words(*values: int) -> Any:
        return np.array(values, dtype=np.uint32)

    assert threefry(words(0, 0), words(0, 0)).tolist() == [0x6B200159, 0x99BA4EFE]
    ones = words(0xFFFFFFFF, 0xFFFFFFFF)
    assert threefry(ones, ones).tolist() == [0x1CB996FC, 0xBB002BE7]
    pi = threefry(words(0x13198A2E, 0x03707344), words(0x243F6A88, 0x85A308D3))
    assert pi.tolist() == [0xC4923A9C, 0x483DF7A0]


def test_the_published_pair_is_as_published(pair: Any) -> None:
    """The released code's pair scores 43.9 and 46.1, and the best interpolation lies at 0.493."""
    assert [round(100 * accuracy(one, TEST), 1) for one in pair] == [43.9, 46.1]
    first, second = pair
    (mark,) = brute_force(first, second, TRAINING, TEST, points=301)
    assert mark.test == pytest.approx(0.578, abs=0.005)
    assert mark.training == pytest.approx(0.712, abs=0.003)


def test_training_lowers_the_error() -> None:
    start = initial(np.random.default_rng(0))
    assert start.std() == pytest.approx(0.01, rel=0.02)
    before, after = (
        accuracy(start, TRAINING),
        accuracy(trained(start, TRAINING, steps=20), TRAINING),
    )
    assert after > before + 0.3


def test_a_genome_holds_the_weights() -> None:
    network = np.linspace(-1, 1, PARAMETERS)
    assert weights([genome(network)])[0] == pytest.approx(network, abs=1e-12)
    assert pytest.approx(0.01) == STD * 2 * REACH


def run(method: str, founders: Any, budget: int, seed: int = 0) -> list[Mark]:
    made = optimizer(method_options(method, founders), seed=seed, budget=budget)
    return course(made, founders, TRAINING, TEST, budget=budget)


def method_options(method: str, founders: Any) -> Any:
    known = accuracy(founders[0], TRAINING) > 0.4
    return (PRE_TRAINED if known else SCRATCH)[method]


@pytest.mark.slow
def test_niches_beat_every_interpolation_soon(pair: Any) -> None:
    """Halves: after 300 of 10,000 passes; and its members know what GA's have lost."""
    niches, genetic = run("M2N2", pair, 300)[-1], run("GA", pair, 300)[-1]
    assert niches.training > 0.73 > 0.713
    assert niches.coverage is not None
    assert genetic.coverage is not None
    assert niches.coverage > 0.95 > genetic.coverage
    assert niches.entropy is not None
    assert genetic.entropy is not None
    assert niches.entropy > 0.4 > 0.1 > genetic.entropy, "all of GA's members are nearly the same"


@pytest.mark.slow
def test_without_a_split_point_it_is_brute_force(pair: Any) -> None:
    last = run("M2N2 without split point", pair, 300)[-1]
    assert last.training == pytest.approx(0.713, abs=0.005)


@pytest.mark.slow
def test_the_same_seed_is_the_same_run(pair: Any) -> None:
    assert run("M2N2", pair, 60) == run("M2N2", pair, 60)
    assert run("M2N2", pair, 60) != run("M2N2", pair, 60, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", SCRATCH)
def test_every_method_runs_from_scratch(method: str) -> None:
    founders = [initial(np.random.default_rng([0, i])) for i in (0, 1)]
    marks = run(method, founders, 40)
    assert marks[-1].passes == 40
    assert marks[-1].training >= max(accuracy(one, TRAINING) for one in founders)
    assert marks[-1].entropy is not None


def test_separable_cma_es_runs_by_generations() -> None:
    marks = course(SepCmaEs(0), [], TRAINING, TEST, budget=60, batch=SepCmaEs.POPULATION)
    assert [mark.passes for mark in marks] == [20, 40, 60]
    assert marks[-1].entropy is None
    assert marks[-1].training > 0.12


def test_cma_es_with_a_full_covariance_learns() -> None:
    """On three weights: 19,210 take gigabytes."""
    made = FullCmaEs(0, size=3)
    for _ in range(40):
        asked = made.ask(20)
        assert len({question.id for question in asked}) == 20
        points = np.array([question.genome for question in asked])
        worth = -np.abs(points - 0.51).max(axis=1)
        made.tell([Result(q.id, (float(w),)) for q, w in zip(asked, worth, strict=True)])
    assert float(worth.max()) > -1e-4


def test_a_run_is_looked_at_where_the_checks_are() -> None:
    looks = checkpoints(50_000)
    assert {1000, 2000, 10_000, 50_000} <= set(looks)
    assert looks == sorted(looks)
    assert len(looks) < 60
