from __future__ import annotations

from evomerge.conformance.optimizers import MIXED
from evomerge.optimizers.base import Result
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.random import RandomConfig, RandomSearch
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene

PROBLEM = Problem(genes=MIXED, seed=11)


def test_answers_do_not_matter() -> None:
    told, silent = RandomSearch(RandomConfig(), PROBLEM), RandomSearch(RandomConfig(), PROBLEM)
    for _ in range(5):
        proposals = told.ask(3)
        told.tell([Result(q.id, (float(q.id),)) for q in proposals])
        assert silent.ask(3) == proposals


def test_uniform() -> None:
    genomes = [q.genome for q in RandomSearch(RandomConfig(), PROBLEM).ask(2000)]
    floats = [float(g[1]) for g in genomes]
    assert abs(sum(floats) / 2000 - 0.5) < 0.03
    assert min(floats) < 0.01
    assert max(floats) > 0.99
    assert all(600 < sum(g[0] == choice for g in genomes) < 740 for choice in MIXED[0].choices)  # type: ignore[union-attr]


def test_odds_and_starts() -> None:
    genes: tuple[Gene, ...] = (
        ChoiceGene(name="slot", choices=("skip", "run"), odds=(0.9, 0.1)),
        FloatGene(name="scale", low=0.5, high=1.5, start=1.25),
    )
    asked = RandomSearch(RandomConfig(), Problem(genes=genes, seed=1)).ask(3000)
    assert abs(sum(q.genome[0] == "run" for q in asked) / 3000 - 0.1) < 0.02
    scales = [float(q.genome[1]) for q in asked]
    assert abs(sum(scales) / 3000 - 0.75) < 0.03
    assert max(scales) <= 1
