"""Examples by number, and back."""

from __future__ import annotations

import pytest

from evomerge.evaluators.base import Report, TaskScore
from evomerge.searching.schedules.numbered import NumberedExamples


def test_numbers_go_task_by_task_and_leave_out_what_does_not_count() -> None:
    examples = NumberedExamples({"a": 3, "b": 2, "c": 9}, {"a": 3.0, "c": 0.0, "b": 1.0})
    assert len(examples) == 5
    assert examples.groups.tolist() == [0, 0, 0, 1, 1]
    part = examples.selection([4, 2, 0])
    assert part == {"a": (0, 2), "b": (1,)}
    tasks = {
        "a": TaskScore.averaged("acc", [0.25, 0.5]),
        "b": TaskScore.averaged("loss", [0.75], higher_is_better=False),
    }
    report = Report(split="search", tasks=tasks, places=part)
    numbers, scores = examples.scored(report)
    assert numbers == (0, 2, 4)
    assert scores.tolist() == [0.25, 0.5, 0.75]
    assert examples.masses(report).tolist() == pytest.approx([0.25] * 3 + [-0.125] * 2)


@pytest.mark.parametrize(("asked", "many"), [(4, 4), (1, 2), (0.5, 2), (0.9, 4), (99, 5)])
def test_a_share_is_rounded_and_each_task_has_one(asked: float, many: int) -> None:
    assert NumberedExamples({"a": 3, "b": 2}, {"a": 1.0, "b": 1.0}).many(asked) == many
