"""Reports that are known: the study's own, and lent ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import RecordError
from evomerge.evaluators.base import Report, Split
from evomerge.study.record import Study

RECIPE, EVALUATOR = "a" * 64, "b" * 64


def test_reports_are_found_again(study: Study, folder: Path, report: Report) -> None:
    study.reports.save(RECIPE, EVALUATOR, report)
    with Study.open(folder, write=False) as reader:
        assert reader.reports.load(RECIPE, EVALUATOR, "search") == report
        assert reader.reports.load(RECIPE, EVALUATOR, "holdout") is None


def test_what_is_lent_is_asked_for_once_and_kept(
    study: Study, folder: Path, report: Report
) -> None:
    asked: list[tuple[str, str, Split, str | None]] = []

    class Other:
        def load(
            self, digest: str, evaluator: str, split: Split, part: str | None = None
        ) -> Report | None:
            asked.append((digest, evaluator, split, part))
            return report if digest == RECIPE else None

        def parts(self, digest: str, evaluator: str, split: Split) -> list[Report]:
            return []

    study.reports.borrow(Other())
    for _ in range(2):
        assert study.reports.load(RECIPE, EVALUATOR, "search") == report
    assert study.reports.load("c" * 64, EVALUATOR, "search", "12") is None
    assert asked == [(RECIPE, EVALUATOR, "search", None), ("c" * 64, EVALUATOR, "search", "12")]
    with Study.open(folder, write=False) as reader:
        assert reader.reports.load(RECIPE, EVALUATOR, "search") == report
        with pytest.raises(RecordError, match="not open for writing"):
            reader.reports.borrow(Other())
