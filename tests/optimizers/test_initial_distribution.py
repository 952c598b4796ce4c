from __future__ import annotations

import numpy as np
import pytest

from evomerge.optimizers.initial_distribution import (
    initial_distribution,
    sample_initial,
    says_where,
)
from evomerge.recipe.genome import ChoiceGene, FloatGene

GENES: tuple[FloatGene | ChoiceGene, ...] = (
    FloatGene(name="free", low=0, high=2),
    FloatGene(name="scale", low=0.5, high=1.5, start=1.25),
    FloatGene(name="rate", low=1, high=100, log=True, start=10),
    ChoiceGene(name="either", choices=("skip", "run")),
    ChoiceGene(name="likely", choices=("skip", "run"), odds=(0.023, 0.977)),
    ChoiceGene(name="three", choices=("a", "b", "c"), odds=(0.1, 0.1, 0.8)),
)


def test_each_gene_begins_where_it_says() -> None:
    mean = initial_distribution(GENES, 0.4, 1 / 6)
    assert mean[:4] == pytest.approx([0.4, 0.75, 0.5, 0.4])
    assert mean[5] == pytest.approx((0.1 + 3 * 0.1 + 5 * 0.8) / 6)
    assert list(says_where(GENES)) == [False, True, True, False, True, True]


@pytest.mark.parametrize("sigma", [1 / 6, 1 / 3])
def test_two_choices_have_their_odds(sigma: float) -> None:
    """Whatever the width."""
    mean = initial_distribution(GENES, 0.5, sigma)[4]
    samples = np.random.default_rng(0).normal(mean, sigma, 100_000)
    assert np.mean(samples > 0.5) == pytest.approx(0.977, abs=0.002)


def test_samples_follow_odds_and_starts() -> None:
    rng = np.random.default_rng(0)
    genomes = [sample_initial(GENES, 0.1, rng) for _ in range(4000)]
    columns = list(zip(*genomes, strict=True))
    assert np.mean(columns[0]) == pytest.approx(0.5, abs=0.02)
    assert np.std(columns[0]) == pytest.approx(12**-0.5, abs=0.01)
    assert np.mean(columns[1]) == pytest.approx(0.75, abs=0.01)
    assert np.std(columns[1]) == pytest.approx(0.1, abs=0.01)
    assert columns[3].count("run") / 4000 == pytest.approx(0.5, abs=0.03)
    assert columns[4].count("run") / 4000 == pytest.approx(0.977, abs=0.01)
    assert columns[5].count("b") / 4000 == pytest.approx(0.1, abs=0.02)
    assert columns[5].count("c") / 4000 == pytest.approx(0.8, abs=0.02)
    assert all(0 <= float(g[1]) <= 1 for g in genomes)
