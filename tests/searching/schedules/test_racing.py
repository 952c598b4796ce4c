"""Racing, decision by decision."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.errors import ConfigError
from evomerge.evaluators.base import Report, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.searching.schedule import Finished, Schedule, Stage, Stopped, remembers
from tests.searching.schedules.exam import LIGHT, SIZE, candidate, order, report, schedule

HALF = [float(place % 2) for place in range(SIZE)]


def race(
    racing: Schedule, scores: list[float], number: int = 7, **facts: Any
) -> tuple[int, object]:
    """How many examples a proposal is scored on, and what it comes to."""
    one, so_far, asked = candidate(number, number), None, dict[int, float]()
    while isinstance(decision := racing.next(one, so_far), Stage):
        places = range(SIZE) if decision.examples is None else decision.examples["sphere"]
        assert not asked.keys() & {*places}, "no example twice"
        asked |= {place: scores[place] for place in places}
        part = None if len(asked) == SIZE else {"sphere": tuple(sorted(asked))}
        so_far = report(scores, part, **facts)
    return len(asked), decision


def against(
    incumbent: list[float], facts: dict[str, Any] | None = None, **settings: Any
) -> Schedule:
    racing = schedule(kind="racing", **settings)
    assert racing.next(candidate(0), None) == Stage()
    assert racing.next(candidate(0), report(incumbent, **facts or {})) == Finished()
    return racing


def test_one_that_is_significantly_worse_is_stopped_by_the_test() -> None:
    scored, stopped = race(against([1.0] * SIZE), [0.0] * SIZE)
    assert scored == 12
    assert isinstance(stopped, Stopped)
    assert stopped.fitness == (0.0,)
    assert stopped.why == (
        "after 12 of 96 examples: 1 behind candidate 0 (p = 0.00024, one of 7 tests)"
    )


def test_tests_are_corrected_for_being_several() -> None:
    """Six lost of twelve: p is 1/64, below 0.1 and not below 0.1 / 7."""
    best = [1.0] * SIZE
    for alpha, expected in ((0.1, 24), (0.12, 12)):
        racing = against(best, alpha=alpha)
        stage = racing.next(candidate(1, 1), None)
        assert isinstance(stage, Stage)
        assert stage.examples is not None
        scores = list(best)
        for place in stage.examples["sphere"][:6]:
            scores[place] = 0.0
        racing.next(candidate(1, 1), report(scores, stage.examples))
        later = [
            0.0 if place not in stage.examples["sphere"] else s for place, s in enumerate(scores)
        ]
        scored, _ = race(racing, later)
        assert scored == expected


def test_one_that_leads_is_tried_on_fresh_examples_before_it_is_the_incumbent() -> None:
    racing = against(HALF)
    scored, decision = race(racing, [1.0] * SIZE, number=1)
    assert (scored, decision) == (SIZE, Finished())
    scored, stopped = race(racing, HALF, number=2)
    assert scored < SIZE
    assert isinstance(stopped, Stopped)
    assert stopped.why is not None
    assert "behind candidate 1" in stopped.why


def test_one_that_does_not_lead_is_not_scored_on_the_fresh_half() -> None:
    scored, stopped = race(against(HALF), HALF)
    assert scored == SIZE // 2
    assert isinstance(stopped, Stopped)
    assert stopped.fitness == (0.5,)
    assert stopped.why == (
        "after 48 of 96 examples: no better than candidate 0, and only fresh examples are left"
    )
    assert race(against(HALF, fresh=0.0), HALF) == (SIZE, Finished())


def test_what_did_not_hold_on_fresh_examples_is_no_incumbent() -> None:
    """It led on the first half, and loses on the other."""
    racing = against(HALF)
    flattered = [float(place in order().first(48)["sphere"][:30]) for place in range(SIZE)]
    scored, stopped = race(racing, flattered, number=1)
    assert SIZE // 2 < scored < SIZE
    assert isinstance(stopped, Stopped)
    _, stopped = race(racing, HALF, number=2)
    assert isinstance(stopped, Stopped)
    assert stopped.why is not None
    assert "candidate 0" in stopped.why


def test_what_is_told_is_the_distance_from_the_incumbent_on_the_same_examples() -> None:
    """The first half is easier than the other; who keeps level there is told to be level."""
    easy = [float(place in order().first(48)["sphere"]) for place in range(SIZE)]
    scored, stopped = race(against(easy), easy)
    assert scored == 48
    assert isinstance(stopped, Stopped)
    assert stopped.fitness == (0.5,)


def test_without_an_incumbent_everybody_goes_on() -> None:
    assert race(schedule(kind="racing"), [0.0] * SIZE) == (SIZE, Finished())
    assert remembers(schedule(kind="racing"))


def test_nobody_is_given_up_for_one_that_breaks_a_constraint() -> None:
    heavy: dict[str, Any] = {"costs": {"layers": 40.0}}
    light: dict[str, Any] = {"costs": {"layers": 20.0}}
    racing = against([1.0] * SIZE, heavy, objective=LIGHT)
    assert race(racing, HALF, **light) == (SIZE, Finished())
    _, stopped = race(racing, [0.0] * SIZE, number=8, **light)
    assert isinstance(stopped, Stopped)
    assert stopped.why is not None
    assert "behind candidate 7" in stopped.why


PRICED = Objective({"sphere": 1.0}, ObjectiveConfig(prices={"layers": 0.1}))


def test_a_price_does_not_make_a_test_of_answers_surer() -> None:
    """It answers all that the incumbent does and the other half, and costs more than that."""
    cheap: dict[str, Any] = {"costs": {"layers": 1.0}}
    dear: dict[str, Any] = {"costs": {"layers": 9.0}}
    scored, stopped = race(against(HALF, cheap, objective=PRICED), [1.0] * SIZE, **dear)
    assert scored == SIZE // 2
    assert isinstance(stopped, Stopped)
    assert stopped.why is not None
    assert "only fresh examples are left" in stopped.why


def test_a_price_that_speaks_for_a_candidate_shifts_its_differences() -> None:
    """Six lost of twelve are too many at equal cost, by a test at 0.12; two thirds of a wrong
    answer cheaper, they are not."""
    stage = schedule(kind="racing").next(candidate(1, 1), None)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    lost = stage.examples["sphere"][:6]
    scores = [0.0 if place in lost else 1.0 for place in range(SIZE)]
    for layers, goes_on in ((9.0, False), (5.0, True)):
        racing = against(
            [1.0] * SIZE, {"costs": {"layers": 9.0}}, objective=PRICED, alpha=0.12, fresh=0.0
        )
        scored, _ = race(racing, scores, costs={"layers": layers})
        assert (scored > 12) == goes_on


def test_one_objective_of_two_tasks_is_tested_by_itself() -> None:
    """Level where it counts, and far behind where something is to be kept."""
    config = ObjectiveConfig(objectives=("a",))
    racing = schedule(kind="racing", objective=Objective({"a": 1.0, "b": 1.0}, config), least=24)

    def two(a: list[float], b: list[float], part: Any = None) -> Report:
        at = part or {"a": range(SIZE), "b": range(SIZE)}
        tasks = {
            name: TaskScore.averaged("right", [scores[place] for place in at[name]])
            for name, scores in (("a", a), ("b", b))
        }
        return Report(split="search", tasks=tasks, places=part)

    racing.next(candidate(0), two([1.0] * SIZE, [1.0] * SIZE))
    stage = racing.next(candidate(1, 1), None)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    one_lost = [float(place != stage.examples["a"][0]) for place in range(SIZE)]
    behind = racing.next(candidate(1, 1), two(one_lost, [0.0] * SIZE, stage.examples))
    assert isinstance(behind, Stage)


def test_the_worst_of_several_tasks_is_refused() -> None:
    worst = Objective({"a": 1.0, "b": 1.0}, ObjectiveConfig(combine="worst"))
    with pytest.raises(ConfigError, match=r"the objective takes the worst task .*; take"):
        schedule(kind="racing", objective=worst)
    schedule(kind="halving", objective=worst)
