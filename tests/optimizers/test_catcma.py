from __future__ import annotations

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS, MIXED, fitness_of
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Optimizer, Proposal, Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene
from tests.optimizers.sparse_loss import SparseLoss


def catcma(genes: tuple[Gene, ...] = MIXED, seed: int = 1, **options: object) -> Optimizer:
    return make(configure({"kind": "catcma", **options}, origin="test"), genes, seed=seed)


def searched(optimizer: Optimizer, evaluations: int) -> None:
    told = 0
    while told < evaluations:
        proposals = optimizer.ask(100)
        optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in proposals])
        told += len(proposals)


def test_choices_and_numbers_are_found_together() -> None:
    optimizer = catcma()
    searched(optimizer, 600)
    genome = optimizer.recommend()
    assert genome is not None
    assert (genome[0], genome[4]) == ("ties", "sum")
    assert np.allclose(np.array(genome[1:4], dtype=float), 0.3, atol=0.05)


def test_it_begins_where_the_genes_say() -> None:
    genes = (
        ChoiceGene(name="on", choices=("off", "on"), odds=(0.1, 0.9)),
        FloatGene(name="x", low=0, high=2, start=0.4),
        FloatGene(name="y", low=0, high=1),
    )
    asked = [q.genome for q in catcma(genes, popsize=2000).ask(2000)]
    assert np.mean([genome[0] == "on" for genome in asked]) == pytest.approx(0.9, abs=0.03)
    assert np.mean([float(genome[1]) for genome in asked]) == pytest.approx(0.2, abs=0.03)
    assert np.std([float(genome[2]) for genome in asked]) == pytest.approx(1 / 6, abs=0.01)


def test_no_choice_dies_out() -> None:
    """However often one of them is better: the margin."""
    genes = (ChoiceGene(name="on", choices=("off", "on")), FloatGene(name="x", low=0, high=1))
    optimizer = catcma(genes)
    for _ in range(200):
        proposals = optimizer.ask(100)
        optimizer.tell([Result(q.id, (float(q.genome[0] == "on"),)) for q in proposals])
    late = [q.genome[0] for q in asked_more(optimizer, 300)]
    assert 0.5 < np.mean([choice == "on" for choice in late]) < 1


def asked_more(optimizer: Optimizer, count: int) -> list[Proposal]:
    asked: list[Proposal] = []
    while len(asked) < count:
        proposals = optimizer.ask(100)
        optimizer.tell([Result(q.id, (float(q.genome[0] == "on"),)) for q in proposals])
        asked += proposals
    return asked


def test_the_best_observation_is_the_first_proposal() -> None:
    optimizer = catcma()
    known = ("slerp", 0.9, 0.9, 0.9, "count")
    optimizer.observe(Observation(("ties", 0.1, 0.1, 0.1, "sum"), (0.1,)))
    optimizer.observe(Observation(known, (0.7,)))
    assert optimizer.ask(1)[0].genome == known


def test_numbers_that_matter_less_begin_with_smaller_steps() -> None:
    importance = (0.05, 1.0, 0.05, 0.2, 1.0)
    config = configure({"kind": "catcma", "popsize": 2000}, origin="test")
    heeded, plain = (
        [q.genome for q in make(config, MIXED, seed=1, importance=share).ask(2000)]
        for share in (importance, None)
    )
    widths = [np.std([float(genome[place]) for genome in heeded]) for place in (1, 2, 3)]
    assert widths == pytest.approx([1 / 6, 0.05**0.5 / 6, 0.2**0.5 / 6], rel=0.1)
    assert [genome[0] for genome in heeded] == [genome[0] for genome in plain]


def test_equal_importance_is_none() -> None:
    config = configure("catcma", origin="test")
    equal, plain = (make(config, MIXED, seed=1, importance=s) for s in ((0.3,) * 5, None))
    assert equal.ask(8) == plain.ask(8)


def test_however_far_an_observation_lies_the_mean_goes_no_further() -> None:
    """Both lie beyond a long sample, in one direction: the next generation is the same."""
    nexts = []
    for corner in (0.95, 1.0):
        optimizer = catcma(FLOATS)
        optimizer.observe(Observation((corner,) * 6, (9.0,)))
        first = optimizer.ask(100)
        optimizer.tell([Result(q.id, (float(-q.id),)) for q in first])
        nexts.append([q.genome for q in optimizer.ask(100)])
    assert np.allclose(np.array(nexts[0], dtype=float), np.array(nexts[1], dtype=float))


def test_a_spent_run_starts_over() -> None:
    optimizer, widths = catcma(FLOATS[:2]), []
    for _ in range(500):
        proposals = optimizer.ask(100)
        points = np.array([q.genome for q in proposals], dtype=float)
        widths.append(float(np.ptp(points, axis=0).max()))
        optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in proposals])
    narrow = next(i for i, width in enumerate(widths) if width < 1e-9)
    assert max(widths[narrow:]) > 0.1


def test_nothing_is_recommended_while_all_has_failed() -> None:
    optimizer = catcma()
    optimizer.tell([Result(q.id, None) for q in optimizer.ask(100)])
    assert optimizer.recommend() is None
    optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in optimizer.ask(100)])
    assert optimizer.recommend() is not None


def test_a_flat_generation_is_no_fault() -> None:
    optimizer = catcma()
    for _ in range(5):
        proposals = optimizer.ask(100)
        optimizer.tell([Result(q.id, (0.5,)) for q in proposals])
    assert all(0 <= float(x) <= 1 for x in optimizer.ask(1)[0].genome[1:4])


def test_several_objectives_are_refused() -> None:
    with pytest.raises(ConfigError, match="catcma optimizes one objective"):
        make(configure("catcma", origin="test"), MIXED, seed=1, objectives=2)


WIDE = SparseLoss(12, matter=(2, 3, 8))


def best_of(importance: tuple[float, ...] | None, candidates: int) -> list[float]:
    """The mean of eight seeds."""
    optimizers = [
        make(configure("catcma", origin="test"), WIDE.genes, seed=seed, importance=importance)
        for seed in range(8)
    ]
    runs = [WIDE.best(optimizer, candidates) for optimizer in optimizers]
    return [float(mean) for mean in np.mean(runs, axis=0)]


def test_a_wrong_importance_costs_time_alone() -> None:
    flat = best_of(None, 40)
    wrong = best_of(WIDE.wrong, 160)
    assert wrong[39] > 1.5 * flat[39], "it does cost time"
    assert wrong[159] < 0.7 * flat[39], "and finds what is found without it"
