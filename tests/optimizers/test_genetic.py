from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.genetic import Genetic, GeneticConfig
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from tests.optimizers.sparse_loss import SparseLoss

SLOTS = 30
PATH: tuple[Gene, ...] = tuple(
    ChoiceGene(name=f"s{i}", choices=("skip", "run"), odds=(0.1, 0.9) if i < 15 else (0.9, 0.1))
    for i in range(SLOTS)
)
SCALED: tuple[Gene, ...] = (
    *PATH,
    *(FloatGene(name=f"x{i}", low=0.8, high=1.4, start=1.0) for i in range(SLOTS)),
)


def used(genome: Genome) -> list[bool]:
    return [value == "run" for value in genome[:SLOTS]]


def genetic(genes: tuple[Gene, ...] = PATH, active: Any = None, **options: Any) -> Genetic:
    return Genetic(GeneticConfig(**options), Problem(genes=genes, seed=5, active=active))


def search(
    optimizer: Genetic, fitness: Callable[[Genome], float], proposals: int
) -> list[Proposal]:
    asked: list[Proposal] = []
    while len(asked) < proposals:
        batch = optimizer.ask(3)
        optimizer.tell([Result(q.id, (fitness(q.genome),)) for q in batch])
        asked += batch
    return asked


def even(genome: Genome) -> float:
    """Every second slot should run: far from where the search begins."""
    return float(sum(run == (i % 2 == 0) for i, run in enumerate(used(genome))))


def test_it_begins_with_the_odds_and_starts() -> None:
    genomes = [q.genome for q in genetic(SCALED, population=3000).ask(3000)]
    assert np.allclose(np.mean([used(g) for g in genomes], 0), [0.9] * 15 + [0.1] * 15, atol=0.03)
    scales = np.array([g[SLOTS:] for g in genomes], dtype=float)
    assert np.allclose(scales.mean(0), 1 / 3, atol=0.02)
    assert np.allclose(scales.std(0), 1 / 6, atol=0.02)


def test_finds_a_path() -> None:
    asked = search(genetic(), even, 300)
    assert max(even(q.genome) for q in asked) == SLOTS


def test_a_child_differs_from_its_parents_in_a_few_genes() -> None:
    optimizer = genetic(crossover=0, population=4)
    optimizer.observe(Observation(("run",) * SLOTS, (1.0,)))
    for q in optimizer.ask(3):
        optimizer.tell([Result(q.id, None)])
    changes = [SLOTS - sum(used(q.genome)) for q in optimizer.ask(1000)]
    assert min(changes) == 1
    assert 0.5 < np.mean(np.array(changes) == 1) < 0.75, "by 1 / k^2"
    assert 5 < max(changes) <= SLOTS // 2


def test_two_parents_give_their_genes_in_halves() -> None:
    optimizer = genetic(crossover=1, population=2)
    a, b = ("run",) * 15 + ("skip",) * 15, ("skip",) * 15 + ("run",) * 15
    optimizer.observe(Observation(a, (1.0,)))
    optimizer.observe(Observation(b, (1.0,)))
    genomes = [q.genome for q in optimizer.ask(600)]
    mixed = [g for g in genomes if 8 < sum(x == y for x, y in zip(g, a, strict=True)) < 22]
    assert len(mixed) > 200, "half of the pairs are a parent with itself"


def test_what_does_not_matter_does_not_mutate() -> None:
    def active(genome: Genome) -> Sequence[bool]:
        return [*[True] * SLOTS, *used(genome)]

    optimizer = genetic(SCALED, active, crossover=0, population=2)
    parent = ("run",) * 10 + ("skip",) * 20 + (0.5,) * SLOTS
    optimizer.observe(Observation(parent, (1.0,)))
    optimizer.tell([Result(q.id, None) for q in optimizer.ask(1)])
    scales = np.array([q.genome[SLOTS:] for q in optimizer.ask(500)], dtype=float)
    assert (scales[:, :10] != 0.5).any(0).all()
    assert (scales[:, 10:] == 0.5).all()


def parents(optimizer: Genetic, known: list[Genome]) -> Counter[int]:
    """How many of 500 children differ in one gene from each of the genomes."""
    children = [proposal.genome for proposal in optimizer.ask(500)]
    return Counter(
        number
        for number, genome in enumerate(known)
        for child in children
        if sum(a != b for a, b in zip(genome, child, strict=True)) == 1
    )


def test_the_best_are_the_parents_and_the_newer_of_equals() -> None:
    genes = tuple(ChoiceGene(name=f"s{i}", choices=("skip", "run")) for i in range(SLOTS))
    optimizer = genetic(genes, crossover=0, population=2)
    fitness = {0: 0.0, 1: 1.0, 2: 1.0, 3: 0.5}
    proposals = optimizer.ask(4)
    optimizer.tell([Result(q.id, (fitness[q.id],)) for q in proposals])
    children = parents(optimizer, [proposal.genome for proposal in proposals])
    assert children.keys() == {1, 2}
    assert children[2] > 2 * children[1], "the better of two that are drawn is the parent"


def test_a_known_genome_takes_one_place() -> None:
    optimizer = genetic(crossover=0, population=2)
    better, worse = ("run",) * SLOTS, ("skip",) * SLOTS
    for genome, fitness in ((better, 1.0), (better, 1.0), (worse, 0.5)):
        optimizer.observe(Observation(genome, (fitness,)))
    assert parents(optimizer, [better, worse]).keys() == {0, 1}


def test_of_more_choices_any_other_comes_next() -> None:
    genes = (ChoiceGene(name="method", choices=("linear", "ties", "slerp")),) * 2
    optimizer = genetic(genes, crossover=0, population=4)
    optimizer.observe(Observation(("ties", "ties"), (1.0,)))
    optimizer.tell([Result(q.id, None) for q in optimizer.ask(3)])
    found = [q.genome for q in optimizer.ask(200)]
    assert {g[0] for g in found} == {"linear", "ties", "slerp"}
    assert ("ties", "ties") not in found


def test_one_objective_only() -> None:
    with pytest.raises(ConfigError, match="genetic optimizes one objective and this search has 2"):
        Genetic(GeneticConfig(), Problem(genes=FLOATS, seed=0, objectives=2))


def test_what_matters_less_mutates_more_seldom() -> None:
    """By the roots: of shares 1 and 0.04 five times as often, and never not at all."""
    shares = (1.0, *[0.04] * (SLOTS - 1))

    def mutations(importance: tuple[float, ...] | None) -> Counter[int]:
        problem = Problem(genes=PATH, seed=5, importance=importance)
        optimizer = Genetic(GeneticConfig(population=2, crossover=0), problem)
        start = tuple("run" for _ in PATH)
        for _ in range(2):
            optimizer.observe(Observation(start, (1.0,)))
        genomes = [q.genome for q in optimizer.ask(2000)]
        return Counter(i for genome in genomes for i, x in enumerate(genome) if x != "run")

    told, plain = mutations(shares), mutations(None)
    often = plain.total() / SLOTS
    assert told[0] > 3 * often
    assert min(told[i] for i in range(1, SLOTS)) > 0.5 * often
    assert mutations((0.3,) * SLOTS)[0] < 1.5 * often


WIDE = SparseLoss(12, matter=(2, 3, 8))


def best_of(importance: tuple[float, ...] | None, candidates: int) -> list[float]:
    """The mean of eight seeds."""
    optimizers = [
        Genetic(GeneticConfig(), Problem(genes=WIDE.genes, seed=seed, importance=importance))
        for seed in range(8)
    ]
    runs = [WIDE.best(optimizer, candidates) for optimizer in optimizers]
    return [float(mean) for mean in np.mean(runs, axis=0)]


def test_a_wrong_importance_costs_time_alone() -> None:
    flat = best_of(None, 120)
    wrong = best_of(WIDE.wrong, 240)
    assert wrong[79] > 1.2 * flat[79], "it does cost time"
    assert wrong[239] < 0.6 * flat[119], "and finds what is found without it"
