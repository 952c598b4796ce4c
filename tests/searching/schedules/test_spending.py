"""Searches that spend fewer examples find as good a winner."""

from __future__ import annotations

from functools import cache
from statistics import fmean

import pytest

from tests.searching.schedules.exam import SIZE, Trial

CANDIDATES = 50
SEEDS = range(6)


@cache
def found(kind: str, tells: bool = True) -> tuple[float, float]:
    """Over the seeds: the winner's skill, and the share of the examples that were scored."""
    trials = [Trial(seed, tells=tells, kind=kind) for seed in SEEDS]
    skill = fmean(trial.run(CANDIDATES) for trial in trials)
    return skill, fmean(trial.scored for trial in trials) / (CANDIDATES * SIZE)


@pytest.mark.parametrize(
    ("kind", "at_most"), [("halving", 0.35), ("hyperband", 0.6), ("racing", 0.6)]
)
def test_as_good_a_winner_from_fewer_examples(kind: str, at_most: float) -> None:
    whole, everything = found("whole")
    skill, share = found(kind)
    assert everything == 1
    assert share < at_most
    assert skill > whole - 0.01


def test_an_optimizer_that_hears_only_of_failures_finds_less() -> None:
    """What it is told of stopped candidates is what it learns most from."""
    assert found("halving", tells=False)[0] < found("halving")[0] - 0.01
