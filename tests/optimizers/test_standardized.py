"""What models are told of fitness and constraints."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("botorch")

from evomerge.optimizers.standardized import standardized, standardized_misses


def test_mean_0_and_variance_1_and_what_failed_is_the_worst() -> None:
    known = [((0.1,), (1.0,), None), ((0.2,), None, None), ((0.3,), (3.0,), None)]
    fitness, noise, (mean, spread) = standardized(known)
    assert fitness[:, 0].tolist() == [-1.0, -1.0, 1.0]
    assert noise == [None]
    assert (mean.tolist(), spread.tolist()) == ([2.0], [1.0])


def test_errors_are_in_units_of_the_spread_and_a_cost_has_none() -> None:
    known = [
        ((0.1,), (1.0, 7.0), (0.1, 0.0)),
        ((0.2,), (5.0, 9.0), (0.3, 0.0)),
        ((0.3,), (3.0, 8.0), None),
    ]
    _, noise, (_, spread) = standardized(known)
    assert noise[0] == pytest.approx(np.array([0.01, 0.09, 0.05]) / spread[0] ** 2)
    assert noise[1] is None


def test_one_broken_candidate_is_told_as_less_bad() -> None:
    known = [((x,), (-5.0 - x,), None) for x in (0.0, 0.1, 0.2, 0.3)]
    fitness, _, (mean, spread) = standardized([*known, ((0.4,), (-1e6,), None)])
    told = fitness[:, 0] * spread[0] + mean[0]
    # The best is -5, the median 0.2 below: ten times as far.
    assert told == pytest.approx(np.array([-5.0, -5.1, -5.2, -5.3, -7.0]))


def test_nobody_on_the_front_is_told_as_something_else() -> None:
    known = [((x,), (-x, y), None) for x, y in ((0.0, 0.0), (0.1, 0.1), (0.2, 0.2), (50.0, 1.0))]
    fitness, _, (mean, spread) = standardized(known)
    assert fitness[-1] * spread + mean == pytest.approx([-50.0, 1.0])


def test_a_miss_counts_up_to_its_bound_and_what_failed_misses_as_the_worst() -> None:
    missed, bounds = standardized_misses([False, True, False], [(-0.5,), (), (3.0,)])
    told = missed[:, 0] - bounds[0]
    assert told / told[-1] == pytest.approx([-0.5, 1.0, 1.0])


def test_where_nothing_is_said_all_constraints_are_kept() -> None:
    missed, bounds = standardized_misses([False, False], [(), (0.2,)])
    assert missed[0, 0] == bounds[0]
    nothing, none = standardized_misses([False, True], ())
    assert nothing.shape == (2, 0)
    assert none == []
