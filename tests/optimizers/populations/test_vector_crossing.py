"""Crossing of vectors: identities of SLERP, split points, chromosomes, categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from evomerge.conformance.optimizers import MIXED
from evomerge.errors import ConfigError
from evomerge.optimizers.populations.archive import Array
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.vector_crossing import VectorCrossing, angle_between, shares
from evomerge.recipe.genome import FloatGene
from evomerge.value import parse


def genes(count: int, reach: float = 2.0) -> tuple[FloatGene, ...]:
    return tuple(FloatGene(name=f"x{i}", low=-reach, high=reach) for i in range(count))


def crossing(count: int = 40, **options: Any) -> VectorCrossing:
    return VectorCrossing(CrossingConfig(**options), genes(count))


def values(point: Array, reach: float = 2.0) -> Array:
    return point * (2 * reach) - reach


def point(values: Array, reach: float = 2.0) -> Array:
    return (values + reach) / (2 * reach)


def parents(count: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, count))
    return point(a / np.linalg.norm(a)), point(b / np.linalg.norm(b))


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0])
def test_slerp_is_the_great_circle(t: float) -> None:
    a, b = (values(one) for one in parents())
    omega = angle_between(a, b)
    assert omega is not None
    of_a, of_b = shares(omega, t)
    child = of_a * a + of_b * b
    assert np.linalg.norm(child) == pytest.approx(1.0)
    assert math.acos(min(1.0, float(a @ child))) == pytest.approx(t * omega, abs=1e-7)
    if t in (0.0, 1.0):
        assert (of_a, of_b) == (1.0 - t, t)


def test_slerp_of_equal_and_of_vanishing_vectors_is_linear() -> None:
    a = np.arange(1.0, 9.0, dtype=np.float64)
    for other in (a, 3 * a, 0 * a, a + 1e-9):
        assert angle_between(a, other) is None
    assert shares(None, 0.3) == (0.7, 0.3)


@pytest.mark.parametrize("crossover", ["slerp", "linear"])
@pytest.mark.parametrize("angle", ["whole", "segment"])
def test_a_child_is_one_mixture_before_the_split_and_the_other_after(
    crossover: str, angle: str
) -> None:
    """Equation 2, with the split and the ratio that the generator gives."""
    a, b = parents()
    made = crossing(crossover=crossover, angle=angle)
    splits = set()
    for seed in range(30):
        child = values(made.cross(a, b, np.random.default_rng(seed)))
        rng = np.random.default_rng(seed)
        split, w = int(rng.integers(40)), rng.random()
        splits.add(split)
        for part, t in ((slice(0, split), w), (slice(split, None), 1 - w)):
            first, second = values(a), values(b)
            own = part if angle == "segment" else slice(None)
            omega = None
            if crossover == "slerp" and len(first[own]):
                omega = angle_between(first[own], second[own])
            of_a, of_b = shares(omega, t)
            expected = of_a * first[part] + of_b * second[part]
            assert child[part] == pytest.approx(expected, abs=1e-12)
    assert len(splits) > 15


def test_the_first_and_the_last_split() -> None:
    """At 0 all is f_{1-w}, at n - 1 only the last element is."""
    a, b = parents(2)
    seen = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        split, w = int(rng.integers(2)), rng.random()
        seen.add(split)
        child = crossing(2, crossover="linear").cross(a, b, np.random.default_rng(seed))
        t = np.array([1 - w, 1 - w]) if split == 0 else np.array([w, 1 - w])
        assert child == pytest.approx((1 - t) * a + t * b)
    assert seen == {0, 1}


def test_without_a_split_one_ratio_holds_everywhere() -> None:
    a, b = point(np.zeros(6)), point(np.ones(6))
    child = crossing(6, split="none", crossover="linear").cross(a, b, np.random.default_rng(0))
    assert len(set(values(child).round(12))) == 1


def test_the_ratio_comes_from_its_range() -> None:
    a, b = point(np.zeros(6)), point(np.ones(6))
    made = crossing(6, split="none", crossover="linear", ratio=(0.2, 0.3))
    found = [values(made.cross(a, b, np.random.default_rng(i)))[0] for i in range(200)]
    assert 0.2 <= min(found) < 0.21
    assert 0.29 < max(found) < 0.3


def test_chromosomes_have_splits_and_ratios_of_their_own() -> None:
    named = tuple(
        FloatGene(name=f"{part}.{i}", low=0, high=1) for i in range(8) for part in ("mlp", "attn")
    )
    config = CrossingConfig(crossover="linear", chromosomes=("attn",))
    made = VectorCrossing(config, named)
    child = made.cross(np.zeros(16), np.ones(16), np.random.default_rng(3))
    attention, rest = child[1::2], child[::2]
    for own in (attention, rest):
        levels = set(own.round(12))
        assert len(levels) <= 2
        assert sum(levels) == pytest.approx(1.0) or len(levels) == 1
    assert set(attention.round(12)) != set(rest.round(12))
    with pytest.raises(ConfigError, match=r"chromosomes: no gene has 'head' in its name"):
        VectorCrossing(CrossingConfig(chromosomes=("attn", "head")), named)


def test_without_crossover_a_child_is_its_first_parent_mutated() -> None:
    a, b = parents()
    made = crossing(crossover="none", mutation=0.01)
    assert np.array_equal(made.cross(a, b, np.random.default_rng(0)), a)
    noise = made.mutate(np.full(40, 0.5), np.random.default_rng(0)) - 0.5
    assert noise.std() == pytest.approx(0.01, rel=0.3)
    with pytest.raises(ConfigError, match="crossover: none leaves nothing but mutation"):
        parse(CrossingConfig, {"crossover": "none"}, origin="test")


def test_mutation_stays_in_the_box_and_draws_categories_anew() -> None:
    made = VectorCrossing(CrossingConfig(mutation=0.3), MIXED)
    start = made.read(("ties", 0.0, 1.0, 0.5, "sum"))
    found = [made.genome(made.mutate(start, np.random.default_rng(i))) for i in range(300)]
    assert all(0 <= float(x) <= 1 for genome in found for x in genome[1:4])
    assert {genome[0] for genome in found} == {"linear", "ties", "slerp"}
    anew = sum(genome[4] == "count" for genome in found) / 300
    assert anew == pytest.approx(0.15, abs=0.07)


def test_categories_come_from_the_parent_with_the_larger_share() -> None:
    made = VectorCrossing(CrossingConfig(), MIXED)
    a, b = made.read(("ties", 0.1, 0.2, 0.3, "sum")), made.read(("slerp", 0.3, 0.4, 0.5, "count"))
    whole = VectorCrossing(CrossingConfig(split="none", ratio=(0.9, 0.9)), MIXED)
    child = whole.genome(whole.cross(a, b, np.random.default_rng(0)))
    assert (child[0], child[4]) == ("slerp", "count")
    assert made.genome(made.blend(a, b, 0.4))[0] == "ties"
    pairs = {
        (child[0], child[4])
        for child in (made.genome(made.cross(a, b, np.random.default_rng(i))) for i in range(60))
    }
    assert {("ties", "count"), ("slerp", "sum")} <= pairs, "a split puts them together anew"


def test_values_are_mixed_in_the_genes_own_units() -> None:
    spaced = (FloatGene(name="rate", low=1e-4, high=1.0, log=True), *genes(1))
    made = VectorCrossing(CrossingConfig(), spaced)
    a, b = made.read((0.0, 0.5)), made.read((1.0, 0.75))
    assert made.blend(a, b, 0.5)[0] == pytest.approx(spaced[0].unit(0.50005), abs=1e-9)
    assert made.blend(a, b, -1.0)[0] == 0.0, "what leaves the range is moved back"


def test_a_layer_needs_a_table() -> None:
    with pytest.raises(ConfigError, match="split: layer is for a space whose genome is a table"):
        crossing(split="layer")


def test_a_genome_is_read_back_exactly() -> None:
    made = crossing()
    founder = made.founder(np.random.default_rng(0))
    assert np.array_equal(made.read(made.genome(founder)), founder)
