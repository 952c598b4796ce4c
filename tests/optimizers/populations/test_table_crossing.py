"""Optimizers over tables: what they breed is what crossing the weights themselves would give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Optimizer, Proposal, Result
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.table_crossing import CoefficientsCrossing
from evomerge.optimizers.populations.vector_crossing import angle_between, shares
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import CoefficientsGene, Genome
from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.seed_pool import SeedPool
from evomerge.recipe.segments import PiecewiseCoefficients

NAMES, SIZES = ("chat", "code", "math"), (60, 36)
RNG = np.random.default_rng(0)
VECTORS = tuple(RNG.standard_normal((len(NAMES), size)) for size in SIZES)
GRIDS = tuple(Grid.regular(size, resolution=12, blocks=(0, size // 3)) for size in SIZES)

KINDS: list[dict[str, Any]] = [
    {"kind": "natural_niches"},
    {"kind": "natural_niches", "split": "layer", "angle": "segment", "warm_up": 5},
    {"kind": "natural_niches", "crossover": "linear", "mutation": 0.05},
    {"kind": "genetic_merge", "split": "none"},
    {"kind": "map_elites", "bins": 4},
    {"kind": "cycle_qd"},
    {"kind": "random_merge"},
]


def seed_pool(counts: list[int] | None = None) -> SeedPool:
    def measure() -> list[Grams]:
        if counts is not None:
            counts.append(1)
        return [Grams.of(own, grid) for own, grid in zip(VECTORS, GRIDS, strict=True)]

    return SeedPool(NAMES, GRIDS, measure)


def optimizer(options: dict[str, Any], seed: int = 0, over: SeedPool | None = None) -> Optimizer:
    gene = CoefficientsGene(name="table", seeds=NAMES)
    config = configure(options, origin="test")
    return make(config, (gene,), seed=seed, seed_pool=over or seed_pool(), budget=60)


def flat(genome: Genome) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """The weights of each chromosome."""
    table = PiecewiseCoefficients.from_text(str(genome[0]))
    return [
        (strand.at(np.arange(1, size + 1)) * own.T).sum(axis=1)
        for strand, own, size in zip(table.chromosomes, VECTORS, SIZES, strict=True)
    ]


def result(proposal: Proposal) -> Result:
    """Examples are weights: solved where above a little."""
    weights = np.concatenate(flat(proposal.genome))
    examples = tuple((weights > 0.3).astype(float).tolist())
    tasks = (float(np.mean(examples[:60])), float(np.mean(examples[60:])))
    return Result(proposal.id, (float(np.mean(examples)),), examples, tasks)


def search(made: Optimizer, count: int) -> list[Proposal]:
    asked: list[Proposal] = []
    while len(asked) < count:
        batch = made.ask(3)
        asked += batch
        made.tell([result(one) for one in batch])
    return asked


@pytest.mark.parametrize("options", KINDS, ids=lambda one: "-".join(map(str, one.values())))
def test_seeds_come_first_and_the_rest_replays(options: dict[str, Any]) -> None:
    asked = search(optimizer(options), 45)
    for proposal, name in zip(asked, NAMES, strict=False):
        assert proposal.genome == (PiecewiseCoefficients.seed(NAMES, SIZES, name).to_text(),)
        assert proposal.parentage is not None
        assert proposal.parentage.parents == ()
    assert search(optimizer(options), 45) == asked
    assert search(optimizer(options, seed=1), 45) != asked
    one_by_one = optimizer(options)
    first = [proposal for _ in range(3) for proposal in one_by_one.ask(1)]
    assert optimizer(options).ask(3) == first


@pytest.mark.parametrize("options", KINDS[1:], ids=lambda one: "-".join(map(str, one.values())))
def test_seeds_that_were_observed_are_not_asked(options: dict[str, Any]) -> None:
    made = optimizer(options)
    for name in NAMES[:2]:
        genome: Genome = (PiecewiseCoefficients.seed(NAMES, SIZES, name).to_text(),)
        known = result(Proposal(0, genome))
        made.observe(Observation(genome, known.fitness or (), known.examples, known.tasks))
    asked = search(made, 12)
    assert asked[0].genome == (PiecewiseCoefficients.seed(NAMES, SIZES, "math").to_text(),)
    later = {parent for one in asked if one.parentage for parent in one.parentage.parents}
    assert {-1, -2} & later, "observations are parents"


def test_a_child_has_the_weights_of_its_parents_crossed() -> None:
    """Chromosome by chromosome, with the angle between the parents' own weights."""
    made = optimizer({"kind": "natural_niches"})
    asked = {proposal.id: proposal for proposal in search(made, 40)}
    checked = 0
    for proposal in asked.values():
        assert proposal.parentage is not None
        if not proposal.parentage.parents:
            continue
        a, b = (flat(asked[parent].genome) for parent in proposal.parentage.parents)
        rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(proposal.id,)))
        # The parents are drawn first, each with one number.
        rng.random(), rng.random()
        for one, two, child, grid in zip(a, b, flat(proposal.genome), GRIDS, strict=True):
            split, w = grid.below(int(rng.integers(grid.size))), rng.random()
            omega = angle_between(one, two)
            for part, t in ((slice(0, split), w), (slice(split, None), 1 - w)):
                of_a, of_b = shares(omega, t)
                assert child[part] == pytest.approx(of_a * one[part] + of_b * two[part], abs=1e-6)
        checked += 1
    assert checked > 30


def test_a_step_is_along_the_directions_of_what_makes_up_the_expert() -> None:
    over = replace(seed_pool(), base=NAMES[0])
    crossing, rng = CoefficientsCrossing(CrossingConfig(), over), np.random.default_rng(0)
    first, second, *_ = crossing.seeds()
    uniform = PiecewiseCoefficients.constant(NAMES, SIZES, dict.fromkeys(NAMES, 1 / len(NAMES)))
    assert dict(crossing.toward(first, second, 0.1, 5, rng).noise) == {f"{NAMES[1]}~5": 0.1}
    assert crossing.toward(first, first, 0.1, 5, rng) == first, "the origin has no directions"
    steps = dict(crossing.toward(first, uniform, 0.3, 6, rng).noise)
    assert steps == pytest.approx({f"{name}~6": 0.3 / len(NAMES) for name in NAMES[1:]})
    with pytest.raises(ConfigError, match="cycle_qd"):
        crossing.cross(crossing.toward(first, second, 0.1, 5, rng), first, rng)


def test_without_an_origin_a_step_goes_straight_to_the_expert() -> None:
    crossing, rng = CoefficientsCrossing(CrossingConfig(), seed_pool()), np.random.default_rng(0)
    first, second, *_ = crossing.seeds()
    moved = crossing.toward(first, second, 0.1, 5, rng)
    assert not moved.noise
    assert 0.0 < moved.shares()[NAMES[1]] < 0.1


def test_gram_matrices_are_measured_only_where_angles_are_needed() -> None:
    for options, expected in (
        ({"kind": "natural_niches"}, 1),
        ({"kind": "natural_niches", "crossover": "linear"}, 0),
        ({"kind": "cycle_qd"}, 0),
    ):
        counts: list[int] = []
        search(optimizer(options, over=seed_pool(counts)), 20)
        assert len(counts) == expected


def test_splits_lie_where_layers_begin() -> None:
    made = optimizer({"kind": "random_merge", "split": "layer"})
    proposals = search(made, 30)[len(NAMES) :]
    assert len(proposals) >= 20
    for proposal in proposals:
        for strand, grid in zip(
            PiecewiseCoefficients.from_text(str(proposal.genome[0])).chromosomes, GRIDS, strict=True
        ):
            assert set(strand.ends.tolist()) <= {*grid.blocks, grid.size}


def test_an_archive_smaller_than_the_seeds_is_refused() -> None:
    message = r"an archive of 2 is smaller than the 3 seeds \(chat, code, math\); set archive to 3"
    with pytest.raises(ConfigError, match=message):
        optimizer({"kind": "natural_niches", "archive": 2})


def test_chromosomes_of_tables_are_the_space_s() -> None:
    with pytest.raises(ConfigError, match=r"say space\.chromosomes instead"):
        optimizer({"kind": "genetic_merge", "chromosomes": ["attention"]})


@pytest.mark.parametrize("options", KINDS, ids=lambda one: "-".join(map(str, one.values())))
def test_seeds_that_all_fail_leave_random_combinations(options: dict[str, Any]) -> None:
    made = optimizer(options)
    for _ in range(30):
        batch = made.ask(2)
        assert batch
        made.tell([Result(one.id, None) for one in batch])
