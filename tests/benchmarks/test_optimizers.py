from __future__ import annotations

import numpy as np
import pytest
from optimizers import EVERY, PLAIN, Split, play, problem, settings, summary, truth, winner

from evomerge.optimizers.random import RandomSearch
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.recipe.genome import Genome


def test_every_registered_optimizer_takes_part() -> None:
    assert set(OPTIMIZERS.entries) <= set(settings())


def test_what_a_genome_is_given_depends_on_the_seed_and_the_genome_alone() -> None:
    of = problem("sparse")
    genome = (0.5,) * 36
    first = Split(of, "search", 1).observed(genome)
    again = Split(of, "search", 1)
    again.observed((0.1,) * 36)
    assert again.observed(genome) == first
    assert Split(of, "search", 2).observed(genome) != first
    assert Split(of, "validation", 1).observed(genome) != first


def test_a_score_is_a_draw_of_the_truth() -> None:
    of = problem("sparse")
    genome = (0.5,) * 36
    scores = [Split(of, "holdout", seed).observed(genome).fitness[0] for seed in range(200)]
    assert np.mean(scores) == pytest.approx(truth(of, genome), abs=0.01)


def test_a_search_is_judged_by_what_it_would_recommend() -> None:
    curve = play(problem("sparse"), PLAIN, seed=3, budget=100)
    assert len(curve) == 100 // EVERY
    assert curve[-1] > curve[0]
    assert play(problem("sparse"), PLAIN, seed=3, budget=100) == curve


def test_the_optimizer_s_own_recommendation_is_a_finalist() -> None:
    of = problem("sparse")
    split = Split(of, "validation", 1)
    draws = np.random.default_rng(0)
    genomes: list[Genome] = [tuple(map(float, draws.random(36))) for _ in range(40)]
    genomes.sort(key=lambda genome: split.observed(genome).fitness[0])
    known = {genome: Split(of, "search", 1).observed(genome) for genome in genomes[:20]}
    assert winner(known, Recommending(genomes[-1]), split) == genomes[-1]
    assert winner(known, Recommending(None), split) in known
    assert winner(known, Recommending(genomes[0]), split) in known


class Recommending(RandomSearch):
    def __init__(self, genome: Genome | None) -> None:
        self.advice = genome

    def recommend(self) -> Genome | None:
        return self.advice


def test_choices_are_searched_too() -> None:
    curve = play(problem("mixed"), "genetic", seed=1, budget=60)
    assert curve[-1] > curve[0] + 0.1


def test_the_target_is_what_plain_cma_es_has_at_the_end() -> None:
    plain = np.linspace(0.0, 0.4, 4)
    curves = {PLAIN: np.stack([plain, plain]), "quick": np.full((2, 4), 0.5)}
    quick, slow = summary(curves, 4 * EVERY)
    assert (quick["arm"], quick["evaluations_until_target"]) == ("quick", EVERY)
    assert (slow["arm"], slow["evaluations_until_target"]) == (PLAIN, 4 * EVERY)
