from __future__ import annotations

import math
from typing import Any

import pytest

from evomerge.optimizers.base import Result
from evomerge.optimizers.populations.score_checks import ScoreChecks


def result(examples: Any = None, tasks: Any = None, fitness: Any = (0.5,)) -> tuple[str, Result]:
    return "proposal 4", Result(4, fitness, examples, tasks)


def test_what_is_needed_is_read_and_the_rest_may_come_along() -> None:
    score_checks = ScoreChecks({"examples"})
    first, failed, both = score_checks.read(
        [result((1.0, 0.0)), result(fitness=None), result((0.0, 0.5), (0.25,))]
    )
    assert failed is None
    assert first is not None
    assert both is not None
    assert (first.fitness, first.examples.tolist(), first.tasks.tolist()) == (0.5, [1, 0], [])
    assert both.tasks.tolist() == [0.25]


@pytest.mark.parametrize("missing", [None, ()])
def test_what_is_missing_is_named(missing: Any) -> None:
    with pytest.raises(ValueError, match="proposal 4 came without scores of its tasks"):
        ScoreChecks({"tasks"}).read([result((1.0,), missing)])


def test_all_have_the_same_examples_whether_told_before_or_together() -> None:
    law = "proposal 4 has scores of 3 examples, before it was 2"
    score_checks = ScoreChecks({"examples"})
    with pytest.raises(ValueError, match=law):
        score_checks.read([result((1.0, 0.0)), result((1.0, 0.0, 1.0))])
    (told,) = score_checks.read([result((1.0, 0.0))])
    assert told is not None
    score_checks.keep(told)
    with pytest.raises(ValueError, match=law):
        score_checks.read([result((1.0, 0.0, 1.0))])


def test_reading_alone_leaves_no_trace() -> None:
    score_checks = ScoreChecks({"examples"})
    score_checks.read([result((1.0, 0.0))])
    assert score_checks.read([result((1.0,))])


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_scores_are_finite(wrong: float) -> None:
    with pytest.raises(ValueError, match="a score of proposal 4's examples is not finite"):
        ScoreChecks({"examples"}).read([result((1.0, wrong))])
