"""Racing, decision by decision."""

from __future__ import annotations

from typing import Any

from evomerge.searching.schedule import Finished, Schedule, Stage, Stopped, remembers
from tests.searching.schedules.exam import SIZE, candidate, order, report, schedule

HALF = [float(place % 2) for place in range(SIZE)]


def race(racing: Schedule, scores: list[float], number: int = 7) -> tuple[int, object]:
    """How many examples a proposal is scored on, and what it comes to."""
    one, so_far, asked = candidate(number, number), None, dict[int, float]()
    while isinstance(decision := racing.next(one, so_far), Stage):
        places = range(SIZE) if decision.examples is None else decision.examples["sphere"]
        assert not asked.keys() & {*places}, "no example twice"
        asked |= {place: scores[place] for place in places}
        part = None if len(asked) == SIZE else {"sphere": tuple(sorted(asked))}
        so_far = report(scores, part)
    return len(asked), decision


def against(incumbent: list[float], **settings: Any) -> Schedule:
    racing = schedule(kind="racing", **settings)
    assert racing.next(candidate(0), None) == Stage()
    assert racing.next(candidate(0), report(incumbent)) == Finished()
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
