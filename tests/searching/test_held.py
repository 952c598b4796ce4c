"""What reports over other examples tell of those that are wanted."""

from __future__ import annotations

import pytest

from evomerge.evaluators.answers import Answer
from evomerge.evaluators.base import Report, TaskScore, TokenCount
from evomerge.evaluators.quantities import measured
from evomerge.searching.held import HeldExamples

SCORES = {"a": (0.0, 0.25, 0.5, 1.0), "b": (1.0, 0.0, 0.75)}
SIZES = {task: len(scores) for task, scores in SCORES.items()}
ALL = {task: tuple(range(size)) for task, size in SIZES.items()}


def report(
    weights: str | None = None, value: float | None = None, **places: tuple[int, ...]
) -> Report:
    """A report of the examples at these places, with an answer to each; of none, of all."""
    chosen = places or ALL
    tasks, answers = {}, {}
    for task, at in chosen.items():
        scores = tuple(SCORES[task][place] for place in at)
        mean = sum(scores) / len(scores) if value is None else value
        tasks[task] = TaskScore(metric="m", value=mean, examples=scores)
        answers[task] = tuple(
            Answer(place=place, doc=place, target="", answer=f"{task}{place}", score=score)
            for place, score in zip(at, scores, strict=True)
        )
    return Report(
        split="search",
        tasks=tasks,
        places=places or None,
        seconds={"evaluate": 2.0},
        tokens=TokenCount(read=10, generated=5),
        weights=weights,
        answers=answers,
    )


def test_parts_and_what_they_lack_make_the_whole() -> None:
    held = HeldExamples.of([report(a=(0, 2)), report(a=(2, 3), b=(1,))], ALL)
    assert held is not None
    assert held.missing == {"a": (1,), "b": (0, 2)}
    made = held.and_rest(report(a=(1,), b=(0, 2)), SIZES)
    whole = report()
    assert made.tasks == whole.tasks
    assert made.places is None
    assert made.answers == whole.answers
    # What was there cost nothing now.
    assert made.tokens == TokenCount(read=10, generated=5)
    assert made.seconds == {"evaluate": 2.0}


def test_of_other_examples_only_the_wanted_ones_are_told() -> None:
    wanted = {"a": (1, 2), "b": (2,)}
    for reports in ([report()], [report(a=(0, 2, 3), b=(0, 2)), report(a=(1,))]):
        held = HeldExamples.of(reports, wanted)
        assert held is not None
        assert held.missing == {}
        assert (held.report.seconds, held.report.tokens) == ({}, TokenCount(read=0, generated=0))
        part = report(a=(1, 2), b=(2,))
        made = held.and_rest(None, {})
        assert (made.tasks, made.places, made.answers) == (part.tasks, wanted, part.answers)


def test_nothing_is_held_where_nothing_is_told_or_parts_do_not_go_together() -> None:
    assert HeldExamples.of([], ALL) is None
    assert HeldExamples.of([report(a=(0,))], {"a": (1, 2), "b": (0,)}) is None
    assert HeldExamples.of([report(value=0.3, a=(0, 3))], ALL) is None, "no mean of its examples"
    assert HeldExamples.of([report("one", a=(0,)), report("other", a=(1,))], ALL) is None


def test_a_rest_of_other_weights_does_not_go_with_it() -> None:
    held = HeldExamples.of([report("one", a=(0, 1, 2, 3))], ALL)
    assert held is not None
    assert held.and_rest(report("one", b=(0, 1, 2)), SIZES).weights == "one"
    with pytest.raises(ValueError, match="different weights"):
        held.and_rest(report("other", b=(0, 1, 2)), SIZES)


def test_what_is_held_was_no_cheaper_to_answer_for_being_there() -> None:
    """Five tokens an example of the two that are held, and five of the one that is asked now."""
    wanted = {"a": (0, 1, 2)}
    for known in ([report(a=(0, 2))], [report(a=(0,)), report(a=(2, 3))]):
        held = HeldExamples.of(known, wanted)
        assert held is not None
        made = held.and_rest(report(a=(1,)), {})
        assert made.tokens == TokenCount(read=10, generated=5), "what was spent now"
        each = 5 / 2 if len(known) == 1 else 10 / 3
        assert measured(made, "tokens_generated") == pytest.approx((2 * each + 5) / 3)
        again = HeldExamples.of([made], wanted)
        assert again is not None
        assert measured(again.and_rest(None, {}), "tokens_generated") == pytest.approx(
            measured(made, "tokens_generated")
        ), "also where all of it is there"
