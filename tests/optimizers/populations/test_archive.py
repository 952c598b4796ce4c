"""The archive against the paper's formulas, written out, and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.optimizers.populations.archive import Archive, Array


def rows_of(*rows: str) -> Array:
    return np.array([[float(x) for x in row] for row in rows])


def filled(rows: Array, size: int | None = None, **options: float) -> Archive[str]:
    archive: Archive[str] = Archive(size or len(rows), **options)  # type: ignore[arg-type]
    for number, row in enumerate(rows):
        archive.add(chr(ord("a") + number), row)
    return archive


def shared(scores: Array, alpha: float, capacity: bool, shift: bool) -> Array:
    """F, equation 3, example by example."""
    found = np.zeros_like(scores)
    for j in range(scores.shape[1]):
        column = scores[:, j] - (scores[:, j].min() if shift else 0.0)
        total = column.sum() or 1.0
        found[:, j] = (column.max() if capacity else 1.0) * column / total**alpha
    return found


def random_rows(kind: str, members: int, examples: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if kind == "binary":
        return (rng.random((members, examples)) < 0.4).astype(float)
    return rng.random((members, examples)) * (rng.random((members, examples)) < 0.7)


@pytest.mark.parametrize("kind", ["binary", "graded"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("capacity", [True, False])
@pytest.mark.parametrize("shift", [True, False])
def test_fitness_and_attraction_are_the_paper_formulas(
    kind: str, alpha: float, capacity: bool, shift: bool
) -> None:
    rows = random_rows(kind, 37, 50)
    archive = filled(rows, alpha=alpha, capacity=capacity, shift=shift)
    expected = shared(rows, alpha, capacity, shift)
    near = 1e-12 if shift else 1e-6  # float32 is kept where nothing is taken away
    assert archive.fitness() == pytest.approx(expected.sum(1), rel=near)
    for a in (0, 17, 36):
        assert archive.attraction(a) == pytest.approx(
            np.maximum(0.0, expected - expected[a]).sum(1), rel=10 * near, abs=near
        )


@pytest.mark.parametrize("kind", ["binary", "graded"])
@pytest.mark.parametrize(("alpha", "shift"), [(1.0, False), (0.0, False), (1.5, True)])
def test_a_long_history_is_that_of_the_released_code(kind: str, alpha: float, shift: bool) -> None:
    """Stack all rows with the candidate's, recompute everything, overwrite the worst."""
    archive: Archive[int] = Archive(19, alpha=alpha, shift=shift)
    kept: list[tuple[int, Array]] = []
    for number, scores in enumerate(random_rows(kind, 300, 30, seed=4)):
        slot = archive.add(number, scores)
        worth = archive.fitness()
        if len(kept) < 19:
            kept.append((number, scores))
            assert slot == number
            continue
        stack = np.array([row for _, row in kept] + [scores])
        worst = int(shared(stack, alpha, True, shift).sum(1).argmin())
        assert slot == (None if worst == 19 else worst)
        if worst < 19:
            kept[worst] = number, scores
        now = shared(np.array([row for _, row in kept]), alpha, True, shift)
        assert worth == pytest.approx(now.sum(1), rel=1e-9 if shift else 1e-6)
    assert archive.members == tuple(number for number, _ in kept)
    assert archive.scores == pytest.approx(np.array([row for _, row in kept]), rel=1e-6)


def test_capacity_is_what_the_best_member_scores() -> None:
    graded = np.array([[0.5, 0.2], [0.25, 0.0]])
    assert filled(graded).fitness() == pytest.approx([0.5 * 0.5 / 0.75 + 0.2, 0.5 * 0.25 / 0.75])
    assert filled(graded, capacity=False).fitness() == pytest.approx([0.5 / 0.75 + 1, 1 / 3])


def test_a_new_member_takes_an_empty_slot_first() -> None:
    archive = filled(rows_of("000", "110"), size=4)
    assert archive.add("c", rows_of("000")[0]) == 2
    assert archive.add("d", rows_of("111")[0]) == 3
    assert archive.version == 4
    assert archive.add("e", rows_of("000")[0]) == 0, "of equals the first slot's goes"
    assert archive.version == 5


def test_whoever_alone_solves_k_examples_outlives_anyone_below_k() -> None:
    """At alpha = 1 its fitness is at least k, whatever the others do."""
    niche = rows_of("000000110000")[0]
    crowd = rows_of(*["111111000000"] * 8)  # 6 / 9 each: less than 2, though they solve 6
    archive = filled(np.vstack([niche, crowd]))
    for _ in range(30):
        archive.add("more", crowd[0])
    assert np.array_equal(archive.scores[0], niche)
    assert archive.fitness()[0] == 2.0
    without = filled(np.vstack([niche, crowd]), alpha=0.0)
    without.add("more", crowd[0])
    assert not (without.scores == niche).all(1).any(), "with no competition the crowd wins"


def test_the_worst_child_is_rejected_and_leaves_no_trace() -> None:
    archive = filled(rows_of("1100", "0011"))
    before = archive.scores.copy(), archive.fitness().copy(), archive.members, archive.version
    assert archive.add("c", rows_of("1000")[0]) is None
    assert np.array_equal(archive.scores, before[0])
    assert np.array_equal(archive.fitness(), before[1])
    assert (archive.members, archive.version) == before[2:]


def test_nobody_attracts_itself() -> None:
    archive = filled(random_rows("graded", 6, 20))
    rng = np.random.default_rng(1)
    for slot in range(6):
        assert archive.attraction(slot)[slot] == 0
        assert all(archive.draw_partner(slot, rng) != slot for _ in range(300))


def test_attraction_is_to_what_one_lacks() -> None:
    archive = filled(rows_of("1100", "1110", "0001", "1000"))
    z = np.array([3, 2, 1, 1])
    expected = [0, 1 / z[2], 1 / z[3], 0]
    assert archive.attraction(0) == pytest.approx(expected)
    drawn = [archive.draw_partner(0, np.random.default_rng(i)) for i in range(2000)]
    assert np.bincount(drawn, minlength=4) / 2000 == pytest.approx([0, 0.5, 0.5, 0], abs=0.04)


@pytest.mark.parametrize("kind", ["binary", "graded"])
def test_where_nobody_attracts_a_partner_is_drawn_by_fitness(kind: str) -> None:
    """The first row is at least as good as the others on every example."""
    scale = 1.0 if kind == "binary" else 0.3
    archive = filled(scale * rows_of("11111", "11100", "10000", "00000"))
    assert not archive.attraction(0).any()
    drawn = [archive.draw_partner(0, np.random.default_rng(i)) for i in range(3000)]
    others = archive.fitness()[1:]
    assert np.bincount(drawn, minlength=4)[0] == 0
    assert np.bincount(drawn, minlength=4)[1:] / 3000 == pytest.approx(
        others / others.sum(), abs=0.03
    )


@pytest.mark.parametrize("row", ["11010", "00000"])
def test_an_archive_of_clones_draws_partners_evenly(row: str) -> None:
    archive = filled(rows_of(*[row] * 4))
    assert not archive.attraction(2).any()
    drawn = [archive.draw_partner(2, np.random.default_rng(i)) for i in range(3000)]
    assert np.bincount(drawn, minlength=4) / 3000 == pytest.approx(
        [1 / 3, 1 / 3, 0, 1 / 3], abs=0.03
    )


def test_a_parent_is_drawn_by_fitness() -> None:
    archive = filled(rows_of("1110", "0001", "0000"))
    drawn = [archive.draw(np.random.default_rng(i)) for i in range(3000)]
    assert np.bincount(drawn, minlength=3) / 3000 == pytest.approx([0.75, 0.25, 0], abs=0.03)
    lost = filled(rows_of("00", "00"))
    assert {lost.draw(np.random.default_rng(i)) for i in range(40)} == {0, 1}
    assert filled(rows_of("10"), size=3).draw_partner(0, np.random.default_rng(0)) == 0


def test_a_shift_makes_negative_scores_count_from_the_worst() -> None:
    rows = random_rows("graded", 12, 9)
    plain, shifted = filled(rows, shift=True), filled(rows - 7.0, shift=True)
    assert shifted.fitness() == pytest.approx(plain.fitness())
    assert shifted.attraction(4) == pytest.approx(plain.attraction(4))
