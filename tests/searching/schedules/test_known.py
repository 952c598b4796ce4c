"""What candidates that were scored on everything say of the others, and what that costs."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest

from evomerge.evaluators.base import Report
from evomerge.evaluators.selection import part_of
from evomerge.searching.schedules.known import KnownWhole
from tests.searching.schedules.exam import OBJECTIVE, SIZE, order, report

SCORED = 12


class Counting:
    """Ranks reports, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, of: Report) -> float:
        self.calls += 1
        return OBJECTIVE(of)[0] / 3


def test_an_estimate_is_the_score_and_the_mean_change_to_the_last_bit() -> None:
    draws = np.random.default_rng(1)
    first, rank = order().first(SCORED), Counting()
    known, changes = KnownWhole(order(), rank), list[float]()
    so_far = report([1.0] * SIZE, first)
    for number in range(40):
        whole = report(draws.random(SIZE).tolist())
        known.add(number, whole)
        known.add(number, report([0.0] * SIZE))  # it is known already
        changes.append(rank(whole) - rank(part_of(whole, first)))
        assert known.estimate(so_far, SCORED) == rank(so_far) + fmean(changes)


def test_an_estimate_costs_the_same_however_many_are_known() -> None:
    rank, costs = Counting(), list[int]()
    known = KnownWhole(order(), rank)
    so_far = report([1.0] * SIZE, order().first(SCORED))
    for number in range(200):
        known.add(number, report([0.5] * SIZE))
        before = rank.calls
        known.estimate(so_far, SCORED)
        costs.append(rank.calls - before)
    assert costs == [3] * 200, "itself, and the one that is new, whole and in part"


def test_where_nothing_is_known_a_score_stands_for_itself() -> None:
    so_far = report([1.0] * SIZE, order().first(SCORED))
    assert KnownWhole(order(), Counting()).estimate(so_far, SCORED) == pytest.approx(1 / 3)
