"""The algebra of tables, against the same crossings of float64 vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.segments import Angle, ChromosomeSegments, PiecewiseCoefficients, blend, cross

Vector = NDArray[np.float64]
SEEDS = ("a", "b", "c", "d")


def weights(strand: ChromosomeSegments, seeds: Vector) -> Vector:
    """The vector that a strand stands for; `seeds`: (seeds, size)."""
    parts, start = [], 0
    for end, row in zip(strand.ends, strand.coefficients, strict=True):
        parts.append(row @ seeds[:, start:end])
        start = end
    return np.concatenate(parts)


def interpolate(a: Vector, b: Vector, t: float, toward: tuple[Vector, Vector] | None) -> Vector:
    """SLERP with the angle between the vectors `toward`, or LERP; written out from the card."""
    if toward is None:
        return (1 - t) * a + t * b
    norms = np.linalg.norm(toward[0]) * np.linalg.norm(toward[1])
    omega = math.acos(min(max(float(toward[0] @ toward[1] / norms), -1.0), 1.0)) if norms else 0.0
    if math.sin(omega) <= 1e-6:
        return (1 - t) * a + t * b
    return (math.sin((1 - t) * omega) * a + math.sin(t * omega) * b) / math.sin(omega)


def merged(a: Vector, b: Vector, split: int, w: float, angle: Angle | None) -> Vector:
    """One crossing as it is published, on whole vectors."""
    low, high = slice(None, split), slice(split, None)
    of_low = {"whole": (a, b), "segment": (a[low], b[low]), None: None}[angle]
    of_high = {"whole": (a, b), "segment": (a[high], b[high]), None: None}[angle]
    below = interpolate(a[low], b[low], w, of_low)
    return np.concatenate([below, interpolate(a[high], b[high], 1 - w, of_high)])


@st.composite
def worlds(draw: Any) -> tuple[Vector, Grid, np.random.Generator]:
    """Seeds around a common base, a grid over them, and the draws of a lineage."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, size = draw(st.integers(2, 4)), draw(st.integers(2, 60))
    spread = draw(st.sampled_from([1e-3, 0.1, 1.0, 10.0]))
    seeds = rng.normal(size=size) + spread * rng.normal(size=(count, size))
    blocks = draw(st.lists(st.integers(0, size - 1), max_size=3))
    return seeds, Grid.regular(size, resolution=draw(st.integers(1, 80)), blocks=blocks), rng


@settings(max_examples=150)
@given(worlds(), st.sampled_from(["whole", "segment", None]), st.integers(1, 50))
def test_a_lineage_of_any_depth_has_the_weights_of_merging_step_by_step(
    world: tuple[Vector, Grid, np.random.Generator], angle: Angle | None, depth: int
) -> None:
    seeds, grid, rng = world
    names = SEEDS[: len(seeds)]
    grams = [Grams.of(seeds, grid)] if angle else None
    tables = [PiecewiseCoefficients.seed(names, [grid.size], name) for name in names]
    vectors = list(seeds)
    for _ in range(depth):
        # The youngest is always a parent: the lineage is as deep as it is long.
        mate = int(rng.integers(len(tables)))
        split = grid.below(int(rng.integers(grid.size)))
        ratio = float(rng.random())
        tables.append(
            cross(
                tables[-1],
                tables[mate],
                splits=[split],
                ratios=[ratio],
                grams=grams,
                angle=angle or "whole",
            )
        )
        vectors.append(merged(vectors[-1], vectors[mate], split, ratio, angle))
    assert len(tables) == len(seeds) + depth
    for table, vector in zip(tables, vectors, strict=True):
        found = weights(table.chromosomes[0], seeds)
        assert np.linalg.norm(found - vector) <= 1e-6 * np.linalg.norm(vector)
        assert len(table.chromosomes[0].ends) <= len(grid.edges) - 1
        assert PiecewiseCoefficients.from_text(table.to_text()) == table


def test_opposite_members_whose_seeds_nearly_cancel_are_crossed_in_a_line() -> None:
    """Their cosine is -1 up to rounding; between its digits, the weight was 138,118."""
    seeds = np.array([[-8.69472903], [9.08885948]])
    grams = [Grams.of(seeds, Grid.regular(1))]
    small = PiecewiseCoefficients(("a", "b"), (ChromosomeSegments.of([1], [[0.511686, 0.490651]]),))
    large = PiecewiseCoefficients.seed(("a", "b"), [1], "a")
    of_small, of_large = (weights(side.chromosomes[0], seeds) for side in (small, large))
    assert of_small[0] * of_large[0] < 0
    assert abs(of_small[0]) < 0.02
    for ratio in (0.1, 0.5, 0.97):
        child = cross(small, large, splits=[1], ratios=[ratio], grams=grams, angle="segment")
        expected = (1 - ratio) * of_small + ratio * of_large
        assert weights(child.chromosomes[0], seeds) == pytest.approx(expected, abs=1e-7)


def test_the_ends_of_interpolation_are_the_parents() -> None:
    seeds = np.random.default_rng(3).normal(size=(2, 12))
    grams = [Grams.of(seeds, Grid.regular(12))]
    a, b = (PiecewiseCoefficients.seed(("a", "b"), [12], name) for name in ("a", "b"))

    def child(split: int, ratio: float) -> PiecewiseCoefficients:
        return cross(a, b, splits=[split], ratios=[ratio], grams=grams)

    assert child(12, 0.0) == child(0, 1.0) == a
    assert child(12, 1.0) == child(0, 0.0) == b
    assert child(5, 0.0).chromosomes == (ChromosomeSegments.of([5, 12], [[1, 0], [0, 1]]),)
    assert child(5, 1.0).chromosomes == (ChromosomeSegments.of([5, 12], [[0, 1], [1, 0]]),)
    assert cross(a, a, splits=[5], ratios=[0.3], grams=grams) == a


def test_spherical_interpolation_of_orthogonal_seeds_by_hand() -> None:
    seeds = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, 2.0]])
    a, b = (PiecewiseCoefficients.seed(("a", "b"), [4], name) for name in ("a", "b"))
    found = cross(a, b, splits=[2], ratios=[1 / 3], grams=[Grams.of(seeds, Grid.regular(4))])
    half, more = math.sin(math.pi / 6), math.sin(math.pi / 3)
    np.testing.assert_allclose(found.chromosomes[0].coefficients, [[more, half], [half, more]])


def test_each_part_may_have_an_angle_of_its_own() -> None:
    seeds = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]])  # orthogonal, then the same
    a, b = (PiecewiseCoefficients.seed(("a", "b"), [4], name) for name in ("a", "b"))
    grams = [Grams.of(seeds, Grid.regular(4))]
    own = cross(a, b, splits=[2], ratios=[0.25], grams=grams, angle="segment").chromosomes[0]
    one = cross(a, b, splits=[2], ratios=[0.25], grams=grams, angle="whole").chromosomes[0]
    sine = math.sin(math.pi / 3)  # 60 degrees between the whole vectors
    np.testing.assert_allclose(
        own.coefficients,
        [[math.sin(0.375 * math.pi), math.sin(0.125 * math.pi)], [0.25, 0.75]],
        atol=1e-9,
    )
    np.testing.assert_allclose(
        one.coefficients[1], [math.sin(math.pi / 12) / sine, 0.5**0.5 / sine], atol=1e-9
    )


def test_vectors_of_nothing_are_interpolated_linearly() -> None:
    a, b = (PiecewiseCoefficients.seed(("a", "b"), [2], name) for name in ("a", "b"))
    grams = [Grams.of(np.zeros((2, 2)), Grid.regular(2))]
    found = cross(a, b, splits=[2], ratios=[0.25], grams=grams)
    assert found.chromosomes == (ChromosomeSegments.of([2], [[0.75, 0.25]]),)


def test_chromosomes_are_crossed_each_by_itself() -> None:
    a, b = (PiecewiseCoefficients.seed(("a", "b"), [4, 6], name) for name in ("a", "b"))
    found = cross(a, b, splits=[2, 6], ratios=[0.0, 0.5], grams=None)
    assert found.chromosomes == (
        ChromosomeSegments.of([2, 4], [[1, 0], [0, 1]]),
        ChromosomeSegments.of([6], [[0.5, 0.5]]),
    )


def test_neighbours_that_coincide_are_joined() -> None:
    rows = ChromosomeSegments.of([1, 2, 3, 4], [[1, 0], [1, 0], [0.9, 0.1], [1, 0]])
    assert rows.joined() == ChromosomeSegments.of([2, 3, 4], [[1, 0], [0.9, 0.1], [1, 0]])


def test_a_child_whose_sides_came_to_be_the_same_has_one_row() -> None:
    a = PiecewiseCoefficients(
        ("a", "b"), (ChromosomeSegments.of([2, 4], [[0.5, 0.5 + 1e-8], [0.5, 0.5]]),)
    )
    b = PiecewiseCoefficients.constant(("a", "b"), [4], {"a": 0.5, "b": 0.5})
    apart = cross(a, b, splits=[4], ratios=[0.5], grams=None)
    same = cross(a, b, splits=[4], ratios=[0.99], grams=None)
    assert [len(one.chromosomes[0].ends) for one in (apart, same)] == [2, 1]


def test_the_table_of_a_long_search_stays_small() -> None:
    """An archive of 20 members after 1000 crossings of two seeds: a row for half of them."""
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=1 << 12) + 0.3 * rng.normal(size=(2, 1 << 12))
    grid = Grid.regular(1 << 12)
    grams = [Grams.of(seeds, grid)]
    archive = [PiecewiseCoefficients.seed(("a", "b"), [grid.size], name) for name in ("a", "b")]
    for _ in range(1000):
        one, two = rng.integers(len(archive), size=2)
        split, ratio = grid.below(int(rng.integers(grid.size))), float(rng.random())
        child = cross(archive[one], archive[two], splits=[split], ratios=[ratio], grams=grams)
        if len(archive) < 20:
            archive.append(child)
        else:
            archive[int(rng.integers(20))] = child
    assert max(len(one.chromosomes[0].ends) for one in archive) < 500
    assert max(len(one.to_text()) for one in archive) < 16_000


@pytest.mark.parametrize(
    ("seeds", "ends", "coefficients", "law"),
    [
        (("a", "a"), [1], [[1, 0]], "each named once"),
        ((), [1], [[1, 0]], "each named once"),
        (("a",), [], [], "a coefficient for each seed"),
        (("a",), [1, 2], [[1]], "a coefficient for each seed"),
        (("a",), [2, 2], [[1], [0]], r"ascending positions above 0, got \[2, 2\]"),
        (("a",), [0], [[1]], "ascending"),
        (("a", "b"), [1], [[1]], "2 seeds need as many coefficients in each row, got 1"),
        (("a",), [1], [[math.nan]], "not finite"),
    ],
)
def test_laws_of_a_table(seeds: Any, ends: Any, coefficients: Any, law: str) -> None:
    with pytest.raises(ValueError, match=law):
        PiecewiseCoefficients(seeds, (ChromosomeSegments.of(ends, coefficients),))


def test_a_table_has_a_chromosome() -> None:
    with pytest.raises(ValueError, match="needs a chromosome"):
        PiecewiseCoefficients(("a",), ())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chromosomes":[1],"seeds":["a"]}', "null"])
def test_other_text_is_no_table(text: str) -> None:
    with pytest.raises(ValueError, match="not a table"):
        PiecewiseCoefficients.from_text(text)


def test_text_is_canonical() -> None:
    table = PiecewiseCoefficients(
        ("b", "a"),
        (
            ChromosomeSegments.of([3, 5], [[1, 0.1], [0, 1]]),
            ChromosomeSegments.of([2], [[0.5, 0.5]]),
        ),
    )
    assert table.to_text() == (
        '{"chromosomes":[{"coefficients":[[1.0,0.0],[0.1,1.0]],"ends":[3,5]},'
        '{"coefficients":[[0.5],[0.5]],"ends":[2]}],"seeds":["b","a"]}'
    )


def test_only_tables_of_the_same_seeds_and_sizes_are_crossed() -> None:
    a = PiecewiseCoefficients.seed(("a", "b"), [4], "a")
    for other in (
        PiecewiseCoefficients.seed(("a", "c"), [4], "a"),
        PiecewiseCoefficients.seed(("a", "b"), [5], "a"),
    ):
        with pytest.raises(ValueError, match="same seeds and sizes"):
            cross(a, other, splits=[2], ratios=[0.5], grams=None)


def test_blending_is_linear_in_everything() -> None:
    a = PiecewiseCoefficients(
        ("x", "y"), (ChromosomeSegments.of([4, 9], [[1, 0], [0.5, 0.5]]),)
    ).stepped(3, {"x": 0.1, "y": 0})
    b = (
        PiecewiseCoefficients.constant(("x", "y"), [9], {"y": 1.0})
        .stepped(3, {"x": 0.3})
        .stepped(12, {"y": 0.2})
    )
    child = blend(a, b, 0.25)
    assert child.chromosomes == (ChromosomeSegments.of([4, 9], [[0.75, 0.25], [0.375, 0.625]]),)
    assert dict(child.noise) == pytest.approx({"x~3": 0.15, "y~12": 0.05})
    assert PiecewiseCoefficients.from_text(child.to_text()) == child
    assert blend(a, a, 7.0) == a, "t may lie outside"
    with pytest.raises(ValueError, match="no ranges"):
        cross(a, b, splits=[4], ratios=[0.5], grams=None)


def test_steps_too_small_to_tell_are_left_out() -> None:
    plain = PiecewiseCoefficients.constant(("x", "y"), [9], {"x": 1.0})
    member = plain.stepped(0, {"x": 0.1})
    for _ in range(16):
        member = blend(member, plain, 0.5)
    assert member.noise
    assert not blend(member, plain, 0.5).noise


def test_shares_are_means_over_elements() -> None:
    strands = (
        ChromosomeSegments.of([3, 10], [[1, 0], [0.2, 0.8]]),
        ChromosomeSegments.of([10], [[0, 1]]),
    )
    assert PiecewiseCoefficients(("x", "y"), strands).shares() == pytest.approx(
        {"x": 0.22, "y": 0.78}
    )


@pytest.mark.parametrize("name", ["z~1", "x", "x~", "x~-1", "x~a"])
def test_noise_is_of_a_seed_under_a_number(name: str) -> None:
    strand = (ChromosomeSegments.of([2], [[1.0]]),)
    with pytest.raises(ValueError, match="seed~number"):
        PiecewiseCoefficients(("x",), strand, ((name, 0.1),))
    with pytest.raises(ValueError, match="by name"):
        PiecewiseCoefficients(("x",), strand, (("x~2", 0.1), ("x~1", 0.1)))


@pytest.mark.parametrize("split", [-1, 5])
def test_a_split_lies_in_the_chromosome(split: int) -> None:
    a = PiecewiseCoefficients.seed(("a", "b"), [4], "a")
    with pytest.raises(ValueError, match="between 0 and the size 4"):
        cross(a, a, splits=[split], ratios=[0.5], grams=None)
