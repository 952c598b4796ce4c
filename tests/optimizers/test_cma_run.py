from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from evomerge.optimizers.cma_run import Covariance, Discrete, Mode, Run, Sample
from evomerge.optimizers.restarts import Start
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene

SLOTS: tuple[Gene, ...] = tuple(ChoiceGene(name=f"s{i}", choices=("skip", "run")) for i in range(8))
THREE: tuple[Gene, ...] = tuple(ChoiceGene(name=f"m{i}", choices=("a", "b", "c")) for i in range(8))


def begun(genes: tuple[Gene, ...], discrete: Discrete, covariance: Covariance = "full") -> Run:
    start = Start(np.full(len(genes), 0.5), 1 / 6, 10)
    return Run(genes, start, Mode(discrete, covariance), np.random.default_rng(0))


def wrong_late(run: Run, right: str) -> float:
    """Choices that are not `right`, a genome, in the last 100 of 300 generations."""
    wrong = []
    for _ in range(300):
        samples = run.ask()
        counts = [sum(value != right for value in sample.genome) for sample in samples]
        run.tell(samples, [-float(count) for count in counts])
        wrong += counts
    return float(np.mean(wrong[-1000:]))


@pytest.mark.parametrize("covariance", ["full", "separable"])
def test_a_settled_choice_goes_on_to_be_tried_with_a_margin(covariance: Covariance) -> None:
    """Each with a probability of 1 / (8 x 10) at least: 0.1 a genome."""
    assert 0.09 < wrong_late(begun(SLOTS, "margin", covariance), "run") < 0.5


def test_and_as_an_integer() -> None:
    assert wrong_late(begun(SLOTS, "integer"), "run") > 0.1


def test_and_not_with_thresholds() -> None:
    assert wrong_late(begun(SLOTS, "threshold"), "run") < 0.02


@pytest.mark.parametrize("discrete", ["integer", "margin"])
def test_the_middle_of_three_goes_on_to_be_left(discrete: Discrete) -> None:
    run = begun(THREE, discrete)
    assert wrong_late(run, "b") > 0.09
    assert run.centre == ("b",) * 8


BOX: tuple[Gene, ...] = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(8))


def points(samples: list[Sample]) -> NDArray[np.float64]:
    return np.array([sample.genome for sample in samples], dtype=float)


def mean(run: Run) -> NDArray[np.float64]:
    return np.array(run.centre, dtype=float)


FIRST_HALF = [True] * 4 + [False] * 4


def test_genes_that_do_not_matter_leave_the_mean_where_it_is() -> None:
    run = begun(BOX, "threshold")
    for generation in range(40):
        samples = run.ask()
        run.tell(samples, points(samples)[:, :4].sum(axis=1).tolist(), [FIRST_HALF] * len(samples))
        assert np.allclose(mean(run)[4:], 0.5), f"generation {generation}"
    assert np.allclose(mean(run)[:4], 1.0, atol=0.01)


def test_what_matters_at_some_moves_by_those_alone() -> None:
    """The best two of ten, at which the last gene does not matter, do not move it."""
    whole, part = begun(BOX, "threshold"), begun(BOX, "threshold")
    fitnesses = [float(-i) for i in range(10)]
    for run, idle in ((whole, 0), (part, 2)):
        samples = run.ask()
        genomes = points(samples)
        run.tell(samples, fitnesses, [[True] * 7 + [i >= idle] for i in range(10)])
    assert np.allclose(mean(whole)[:7], mean(part)[:7])
    # The tutorial's weights of the better half, eq. 49 and 53: log(5.5) - log(i), of sum 1.
    weights = np.log(5.5) - np.log(np.arange(1, 6))
    lacking = weights[:2] / weights.sum() @ (genomes[:2, 7] - 0.5)
    assert mean(whole)[7] - mean(part)[7] == pytest.approx(lacking)


def test_a_late_sample_goes_half_the_way_with_the_mean() -> None:
    run = begun(BOX, "threshold")
    early, late = run.ask(), run.ask()
    best = [float(-i) for i in range(10)]
    run.tell(early, best)
    moved = mean(run) - 0.5
    run.tell(late, best)
    # The tutorial's weights of the better half, eq. 49 and 53.
    weights = np.log(5.5) - np.log(np.arange(1, 6))
    step = weights / weights.sum() @ (points(late)[:5] - 0.5)
    assert np.allclose(mean(run) - 0.5, moved / 2 + step)


def test_a_sample_from_elsewhere_moves_the_mean_no_further_than_its_own() -> None:
    run = begun(BOX, "threshold")
    own, corner = run.ask(), (1.0,) * 8
    run.tell([run.elsewhere(corner), *own[1:]], [float(-i) for i in range(10)])
    weights = np.log(5.5) - np.log(np.arange(1, 6))
    weights /= weights.sum()
    rest = weights[1:] @ (points(own)[1:5] - 0.5)
    step = (mean(run) - 0.5 - rest) / weights[0]
    assert np.allclose(step, step[0]), "towards the corner"
    longest = (np.sqrt(8) + 2 * 8 / (8 + 2)) / 6  # Hansen 2011, equation 4
    assert np.linalg.norm(step) == pytest.approx(longest, rel=1e-3)
    assert np.linalg.norm(np.full(8, 0.5)) > longest, "or the test says nothing"


def test_a_choice_from_elsewhere_is_a_sample_of_it() -> None:
    run = begun(SLOTS, "margin")
    for _ in range(20):
        own = run.ask()
        run.tell([run.elsewhere(("run",) * 8), *own[1:]], [1.0] + [0.0] * 9)
    assert run.centre == ("run",) * 8


def test_two_updates_need_no_sample_between_them() -> None:
    run = begun(BOX, "threshold")
    late = run.ask(), run.ask()
    for samples in late:
        run.tell(samples, points(samples).sum(axis=1).tolist())
    assert mean(run).mean() > 0.5
