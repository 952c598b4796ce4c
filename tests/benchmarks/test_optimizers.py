from __future__ import annotations

import numpy as np
import pytest
from optimizers import (
    EVERY,
    INFORMED,
    PLAIN,
    TOLD,
    Split,
    kept,
    measured,
    merged,
    play,
    problem,
    settings,
    shares,
    summary,
    tables,
    truth,
    winner,
)

from evomerge.errors import ConfigError
from evomerge.optimizers.random import RandomSearch
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.recipe.genome import Genome


def test_every_registered_optimizer_takes_part() -> None:
    assert set(OPTIMIZERS.entries) <= set(settings())


def test_every_arm_has_a_row_or_a_reason_or_is_said_not_to_have_run() -> None:
    said = {
        name: {row["arm"] for row in found["arms"]} | {*found["left_out"], *found["not_run"]}
        for name, found in kept().items()
    }
    assert said == {name: {*settings()} for name in ("flagship", "demo", "mixed", "sparse")}


def test_what_other_runs_have_found_stays() -> None:
    def row(arm: str, at: int | None) -> dict[str, object]:
        return {"arm": arm, "evaluations_until_target": at}

    old = [row("genetic", 90), row("random", None), row("an arm of long ago", 50)]
    before = {"arms": old, "left_out": {"optuna": "none"}}
    found = merged(before, [row("random", 80), row("optuna", 70)], {"catcma": "no choices"})
    assert found["arms"] == [row("optuna", 70), row("random", 80), row("genetic", 90)]
    assert found["left_out"] == {"catcma": "no choices"}
    assert set(found["not_run"]) == set(settings()) - {"genetic", "random", "optuna", "catcma"}


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


@pytest.mark.parametrize("kind", INFORMED)
def test_who_is_told_the_importance_searches_otherwise(kind: str) -> None:
    of = problem("sparse")
    budget = 10 if kind == "bayes" else 20  # a model thinks long, and knows it from the first one
    told, plain = (play(of, arm, seed=1, budget=budget) for arm in (f"{kind}{TOLD}", kind))
    assert told != plain
    with pytest.raises(ConfigError, match="nobody has measured"):
        play(problem("mixed"), f"{kind}{TOLD}", seed=1, budget=20)


def test_importance_is_of_every_gene_or_of_none() -> None:
    genes = problem("mixed").genes
    known = {gene.name: 0.5 for gene in genes}
    assert shares(genes, known) == (0.5,) * len(genes)
    assert shares(genes, {}) is None
    with pytest.raises(ValueError, match="nothing of x7; it has on0"):
        shares(genes, {name: share for name, share in known.items() if name != "x7"})


def test_what_was_measured_is_of_problems_that_there_are() -> None:
    importance = measured()
    assert importance.keys() <= set(tables())
    assert all(shares(problem(name).genes, known) for name, known in importance.items())


def test_the_error_is_that_of_a_mean_over_the_sample() -> None:
    of = problem("sparse")
    observed = [Split(of, "search", seed).observed((0.5,) * 36) for seed in range(200)]
    spread = np.std([own.fitness[0] for own in observed])
    errors = [own.error[0] for own in observed if own.error]
    assert len(errors) == 200
    assert np.mean(errors) == pytest.approx(spread, rel=0.15)


def test_a_target_that_some_draws_never_reach_has_an_end_without_a_number() -> None:
    reached, missed = np.array([0.1, 0.5]), np.array([0.1, 0.2])
    curves = {PLAIN: np.stack([reached, missed] * 4)}
    (row,) = summary(curves, 2 * EVERY)
    assert row["interval"] == [2 * EVERY, None]


def test_plain_cma_es_reaches_its_own_value_whatever_the_order_of_the_sum() -> None:
    curves = np.random.default_rng(0).random((30, 20, 4)) + np.array([0, 0, 0, 1])
    rounded = [own[:, -1].mean() > own.mean(axis=0)[-1] for own in curves]
    assert any(rounded), "the last value is the target, summed over seeds in another order"
    reached = [summary({PLAIN: own}, 4 * EVERY)[0]["evaluations_until_target"] for own in curves]
    assert reached == [4 * EVERY] * len(curves)


def test_the_target_is_what_plain_cma_es_has_at_the_end() -> None:
    plain = np.linspace(0.0, 0.4, 4)
    curves = {PLAIN: np.stack([plain, plain]), "quick": np.full((2, 4), 0.5)}
    quick, slow = summary(curves, 4 * EVERY)
    assert (quick["arm"], quick["evaluations_until_target"]) == ("quick", EVERY)
    assert (slow["arm"], slow["evaluations_until_target"]) == (PLAIN, 4 * EVERY)
