"""Reports as they are kept."""

from __future__ import annotations

import pytest

from evomerge.evaluators.base import EvaluatorConfig, Report, TaskScore, digest_of

KEPT = (
    '{"split":"search","tasks":{"a":{"metric":"acc","value":0.5,"examples":[1.0,0.0],'
    '"higher_is_better":true}},"truncated":0.25,"seconds":{"evaluate":1.5},"costs":{"layers":4.0}}'
)
"""As a study has it that was made before reports over parts."""


def test_a_whole_report_is_kept_as_ever() -> None:
    score = TaskScore(metric="acc", value=0.5, examples=(1.0, 0.0))
    report = Report(
        split="search",
        tasks={"a": score},
        truncated=0.25,
        seconds={"evaluate": 1.5},
        costs={"layers": 4.0},
    )
    assert report.model_dump_json() == KEPT
    assert Report.model_validate_json(KEPT) == report


def test_a_part_says_which_examples_it_has() -> None:
    score = TaskScore(
        metric="p", value=2.0, examples=(1.0, 4.0), weights=(1.0, 1.0), mean="geometric"
    )
    report = Report(split="search", tasks={"a": score}, places={"a": (3, 7)})
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_an_evaluator_without_its_methods_cannot_be_made() -> None:
    class Half(EvaluatorConfig):
        kind: str = "half"

    with pytest.raises(TypeError, match="digest"):
        Half()  # type: ignore[abstract]


def test_digests_do_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
