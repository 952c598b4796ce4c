"""Genomes as rows of numbers, and back."""

from __future__ import annotations

import numpy as np

from evomerge.conformance.optimizers import MIXED
from evomerge.optimizers.columns import Columns

COLUMNS = Columns(MIXED)
GENOME = ("ties", 0.25, 0.5, 1.0, "sum")


def test_a_row_is_its_genome() -> None:
    (row,) = COLUMNS.rows([GENOME])
    assert row.shape == (8,)
    assert list(COLUMNS.gene) == [0, 0, 0, 1, 2, 3, 4, 4]
    assert COLUMNS.genome(row) == GENOME
    assert Columns(MIXED[1:4]).has_choices is False


def test_a_choice_is_as_far_as_a_float_by_its_range() -> None:
    changed = [
        ("slerp", *GENOME[1:]),
        ("linear", *GENOME[1:]),
        (*GENOME[:1], 0.25, 0.5, 0.0, "sum"),
    ]
    rows = COLUMNS.rows([GENOME, *changed])
    assert np.allclose(np.linalg.norm(rows[1:] - rows[0], axis=1), 1.0)


def test_neighbours_differ_in_one_choice() -> None:
    (row,) = COLUMNS.rows([GENOME])
    found = [COLUMNS.genome(other) for other in COLUMNS.neighbours(row)]
    assert found == [
        ("linear", *GENOME[1:]),
        ("slerp", *GENOME[1:]),
        (*GENOME[:4], "count"),
    ]
    assert Columns(MIXED[1:4]).neighbours(row[3:6]).shape == (0, 3)


def test_genomes_that_differ_in_nothing_that_matters_are_one_row() -> None:
    """The first number matters with ties alone, and the last choice with slerp alone."""
    columns = Columns(
        MIXED, lambda genome: (True, genome[0] == "ties", True, True, genome[0] == "slerp")
    )
    rows = columns.rows(
        [
            ("ties", 0.25, 0.5, 1.0, "sum"),
            ("linear", 0.25, 0.5, 1.0, "sum"),
            ("linear", 0.75, 0.5, 1.0, "count"),
        ]
    )
    assert np.array_equal(rows[1], rows[2])
    assert not np.array_equal(rows[0], rows[1])
    settled = columns.settled_genome(("linear", 0.75, 0.5, 1.0, "count"))
    assert settled == ("linear", 0.5, 0.5, 1.0, "sum")
    assert columns.settled_genome(settled) == settled
    others = COLUMNS.rows([("linear", 0.75, 0.5, 1.0, "count"), ("slerp", 0.1, 0.5, 1.0, "count")])
    assert np.array_equal(columns.settled(others)[0], rows[1])
    assert columns.genome(columns.settled(others)[1]) == ("slerp", 0.5, 0.5, 1.0, "count")
    assert COLUMNS.settled(others) is others
