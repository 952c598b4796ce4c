from __future__ import annotations

import numpy as np

from evomerge.optimizers.restarts import RestartRule, Restarts, Start

FIRST = Start(np.full(3, 0.5), 0.2, 8)


def starts(rule: RestartRule, evaluations: list[int]) -> list[Start]:
    restarts = Restarts(rule, FIRST, np.random.default_rng(0), np.zeros(3, dtype=bool))
    return [restarts.next(used) for used in evaluations]


def test_none_keeps_the_population() -> None:
    assert [(s.popsize, s.sigma) for s in starts("none", [100, 100])] == [(8, 0.2)] * 2


def test_ipop_doubles() -> None:
    assert [s.popsize for s in starts("ipop", [100, 100, 100])] == [16, 32, 64]


def test_every_restart_has_a_mean_of_its_own() -> None:
    means = [tuple(s.mean) for s in starts("ipop", [1, 1, 1])]
    assert len(set(means)) == 3
    assert all(0 <= x <= 1 for mean in means for x in mean)


def test_bipop_gives_the_turn_to_the_regime_that_used_less() -> None:
    # first run, large 16 (used 500), then small until it has used as much, then large 32
    first, small, other, large = starts("bipop", [100, 500, 300, 300])
    assert (first.popsize, first.sigma) == (16, 0.2)
    assert (large.popsize, large.sigma) == (32, 0.2)
    for start in (small, other):
        assert 8 <= start.popsize <= 16
        assert 0.002 <= start.sigma < 0.2


def test_what_says_where_it_begins_begins_there_again() -> None:
    settled = np.array([True, False, True])
    start = Restarts("ipop", FIRST, np.random.default_rng(0), settled).next(10)
    assert list(start.mean == 0.5) == [True, False, True]
