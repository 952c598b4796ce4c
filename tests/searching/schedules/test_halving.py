"""Asynchronous successive halving, decision by decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from evomerge.config import SCHEDULES
from evomerge.errors import ConfigError
from evomerge.evaluators.base import Failure, Report, Selection
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.searching.schedule import (
    Decision,
    Finished,
    Paused,
    Schedule,
    Stage,
    Stopped,
    release,
    remembers,
)
from evomerge.searching.schedules.halving import Hyperband
from evomerge.searching.schedules.rung import Rung
from tests.searching.schedules.exam import (
    LIGHT,
    OBJECTIVE,
    SIZE,
    SIZES,
    candidate,
    order,
    report,
    schedule,
)


def of(number: int, halving: Schedule, right: int, *, rung: int = 0, **facts: Any) -> Decision:
    """What becomes of a proposal that answers the first so many questions of each rung."""
    places = first(rung)
    scores = [0.0] * SIZE
    for place in places["sphere"][:right]:
        scores[place] = 1.0
    return halving.next(candidate(number, number), report(scores, places, **facts))


def first(rung: int) -> Selection:
    """The questions that all who are on a rung have been asked."""
    return order().first((12, 36)[rung])


def test_the_first_stage_is_of_the_least_examples_and_the_same_for_all() -> None:
    halving = schedule(kind="halving")
    stages = [halving.next(candidate(number, number), None) for number in range(3)]
    assert isinstance(stages[0], Stage)
    assert stages[0].examples is not None
    assert len(stages[0].examples["sphere"]) == 12
    assert stages[0] == stages[1] == stages[2]
    assert schedule(1, kind="halving").next(candidate(0, 0), None) != stages[0]
    assert remembers(halving)


def test_landmarks_come_to_their_end_alone() -> None:
    halving = schedule(kind="halving")
    assert halving.next(candidate(0), None) == Stage()
    assert halving.next(candidate(0), report([1.0] * SIZE)) == Finished()


def test_the_best_third_goes_on_and_the_others_wait() -> None:
    halving = schedule(kind="halving")
    assert of(0, halving, 5) == Paused()
    assert of(1, halving, 7) == Paused()
    assert of(2, halving, 6) == Paused(), "one of three goes on, and that is the second"
    stage = of(1, halving, 7)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    assert len(stage.examples["sphere"]) == 24
    assert not {*stage.examples["sphere"]} & {*first(0)["sphere"]}
    assert of(1, halving, 7) == stage, "asked again, it answers the same"


def test_one_that_waits_goes_on_when_it_comes_into_the_best_third() -> None:
    halving = schedule(kind="halving")
    for number, right in enumerate((6, 9, 7)):
        of(number, halving, right)
    assert of(2, halving, 7) == Paused()
    for number in (3, 4, 5):
        assert of(number, halving, 1) == Paused()
    assert isinstance(of(2, halving, 7), Stage)


def test_one_that_was_overtaken_by_as_many_as_are_compared_is_stopped() -> None:
    halving = schedule(kind="halving", window=3)
    for number, right in enumerate((6, 9, 7)):
        of(number, halving, right)
    assert of(0, halving, 6) == Paused()
    of(3, halving, 1)
    stopped = of(0, halving, 6)
    assert stopped == Stopped(
        (0.5,), why="after 12 of 96 examples: not among the best 1/3 of 3 there"
    )
    assert of(2, halving, 7) == Paused()


def test_a_search_that_gets_better_still_spares() -> None:
    """Each generation is better than all before: compared with all, more of it would go on."""
    values = [10.0 * generation + place for generation in range(8) for place in (0, 4, 1, 3, 2, 5)]
    went_on = []
    for window in (6, 1000):
        rung = Rung(3, window)
        for number, value in enumerate(values):
            rung.add(number, value)
        went_on.append(len(rung.goes_on))
    assert went_on == [37, 44]


def test_where_nothing_else_is_left_to_do_the_others_end() -> None:
    halving = schedule(kind="halving")
    assert of(0, halving, 6) == Paused()
    one = candidate(0, 0)
    places = first(0)
    scores = [float(place in places["sphere"][:6]) for place in range(SIZE)]
    stopped = release(halving, one, report(scores, places))
    assert isinstance(stopped, Stopped)
    assert stopped.fitness == (0.5,)
    assert halving.next(one, report(scores, places)) == stopped
    of(1, halving, 5)
    of(2, halving, 4)
    assert halving.next(one, report(scores, places)) == stopped, "what has ended stays so"


def test_what_is_told_keeps_the_order_among_rungs() -> None:
    """The first questions are easier than the rest, as the landmark shows."""
    halving = schedule(kind="halving")
    places = first(0)["sphere"]
    easy = [1.0 if place in places else 0.25 for place in range(SIZE)]
    halving.next(candidate(100), None)
    halving.next(candidate(100), report(easy))
    change = sum(easy) / SIZE - 1
    for number, right in enumerate((10, 9, 8)):
        of(number, halving, right)
    told = [release(halving, candidate(n, n), on_rung(n)) for n in (1, 2)]
    fitnesses = [one.fitness for one in told if isinstance(one, Stopped) and one.fitness]
    assert [value for (value,) in fitnesses] == pytest.approx([9 / 12 + change, 8 / 12 + change])
    # The one that went on comes to less than that: the others are told no more than it has.
    assert halving.next(candidate(0, 0), report([0.05] * SIZE)) == Finished()
    of(3, halving, 9)
    later = release(halving, candidate(3, 3), on_rung(1))
    assert isinstance(later, Stopped)
    assert later.fitness == pytest.approx((0.05,))


def on_rung(number: int) -> Report:
    places = first(0)
    right = {0: 10, 1: 9, 2: 8}[number]
    scores = [float(place in places["sphere"][:right]) for place in range(SIZE)]
    return report(scores, places)


def test_one_that_fails_is_compared_with_nobody() -> None:
    halving = schedule(kind="halving")
    for number in range(3):
        halving.next(candidate(number, number), Failure(cause="candidate", message="no"))
    assert of(3, halving, 0) == Paused()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"silent": 1.0}, "100% of its first answers are empty"),
        ({"repeating": 0.95}, "95% of its first answers repeat one thing until they are cut"),
        ({"silent": 0.5, "repeating": 0.5}, "100% of its first answers are empty or repeat"),
    ],
)
@pytest.mark.parametrize("kind", ["halving", "racing"])
def test_degenerate_candidates_end_after_their_first_stage(
    kind: str, facts: dict[str, Any], why: str
) -> None:
    saving = schedule(kind=kind)
    stopped = of(0, saving, 12, **facts)
    assert isinstance(stopped, Stopped)
    assert stopped.why == f"after 12 of 96 examples: {why}"
    assert stopped.fitness == (1.0,)
    lenient = schedule(kind=kind, degenerate=False)
    assert not isinstance(of(0, lenient, 12, **facts), Stopped)


def test_several_objectives_are_refused() -> None:
    layers = Objective({"sphere": 1.0}, ObjectiveConfig(also=("layers",)))
    for kind in ("halving", "hyperband", "racing"):
        with pytest.raises(ConfigError, match=rf"schedule: {kind} ranks .* fitness, layers; take"):
            SCHEDULES.make(SCHEDULES.config(kind), sizes=SIZES, seed=0, objective=layers)


def test_a_task_of_unknown_size_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"schedule: halving .* how many examples 'sphere' has"):
        SCHEDULES.make(SCHEDULES.config("halving"), sizes={}, seed=0, objective=OBJECTIVE)


def test_brackets_begin_on_different_rungs_and_share_the_examples() -> None:
    hyperband = schedule(kind="hyperband")
    assert isinstance(hyperband, Hyperband)
    firsts = [hyperband.next(candidate(number, number), None) for number in range(60)]
    sizes = Counter(
        SIZE if stage.examples is None else len(stage.examples["sphere"])
        for stage in firsts
        if isinstance(stage, Stage)
    )
    assert sorted(sizes) == [12, 36, 96]
    assert all(few > many for (_, few), (_, many) in pairwise(sorted(sizes.items())))
    again = schedule(kind="hyperband")
    backwards = [again.next(candidate(n, n), None) for n in reversed(range(60))]
    assert backwards[::-1] == firsts, "by its number, whoever was asked about before"


@pytest.mark.parametrize("kind", ["halving", "hyperband", "racing"])
def test_a_recipe_that_was_scored_on_everything_is_taken_whole(kind: str) -> None:
    """As the first proposal of CMA-ES often is, which is the best landmark."""
    saving = schedule(kind=kind)
    saving.next(candidate(0), report([1.0] * SIZE))
    again = replace(candidate(3, 0), digest=candidate(0).digest)
    assert saving.next(again, None) == Stage()
    assert saving.next(again, report([1.0] * SIZE)) == Finished()
    assert saving.next(candidate(4, 1), None) != Stage()


def test_those_that_break_a_constraint_are_behind_on_a_rung() -> None:
    for layers, best in (({}, 1), ({1: 40.0}, 2), ({0: 33.0, 1: 40.0, 2: 34.0}, 0)):
        halving = schedule(kind="halving", objective=LIGHT)
        for number, right in enumerate((5, 9, 7)):
            of(number, halving, right, costs={"layers": layers.get(number, 20.0)})
        went_on = [
            number
            for number, right in enumerate((5, 9, 7))
            if isinstance(of(number, halving, right, costs={"layers": 20.0}), Stage)
        ]
        assert went_on == [best]
