from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import InfrastructureError, RecordError
from evomerge.evaluators.answers import Answer
from evomerge.evaluators.base import Report
from evomerge.study.examples import Examples, part_name

RECIPE = "a" * 64
EVALUATOR = "b" * 64


def test_a_report_comes_back_equal(tmp_path: Path, report: Report) -> None:
    examples = Examples(tmp_path)
    examples.save(RECIPE, EVALUATOR, report)
    assert examples.load(RECIPE, EVALUATOR, "search") == report
    assert [path.name for path in tmp_path.iterdir()] == [f"{RECIPE}.{'b' * 16}.search.json.gz"]


def test_other_evaluations_are_not_mistaken_for_it(tmp_path: Path, report: Report) -> None:
    examples = Examples(tmp_path)
    examples.save(RECIPE, EVALUATOR, report)
    assert examples.load("c" * 64, EVALUATOR, "search") is None
    assert examples.load(RECIPE, "c" * 64, "search") is None
    assert examples.load(RECIPE, EVALUATOR, "holdout") is None


def test_the_same_report_makes_the_same_file(tmp_path: Path, report: Report) -> None:
    contents = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        Examples(folder).save(RECIPE, EVALUATOR, report)
        contents.append(next(folder.iterdir()).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("kept", [slice(-9), slice(9, None), slice(0)])
def test_a_damaged_file_is_named(tmp_path: Path, report: Report, kept: slice) -> None:
    examples = Examples(tmp_path)
    examples.save(RECIPE, EVALUATOR, report)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[kept])
    with pytest.raises(RecordError, match=r"search\.json\.gz: is damaged; delete it"):
        examples.load(RECIPE, EVALUATOR, "search")


def test_parts_are_kept_apart_from_each_other_and_from_the_whole(
    tmp_path: Path, report: Report
) -> None:
    examples = Examples(tmp_path)
    first, second = part_name({"sums": (0, 2)}), part_name({"sums": (1,)})
    part = report.model_copy(update={"places": {"sums": (0, 2)}})
    examples.save(RECIPE, EVALUATOR, part, first)
    assert examples.load(RECIPE, EVALUATOR, "search", first) == part
    assert examples.load(RECIPE, EVALUATOR, "search", second) is None
    assert examples.load(RECIPE, EVALUATOR, "search") is None
    examples.save(RECIPE, EVALUATOR, report)
    assert examples.load(RECIPE, EVALUATOR, "search", first) == part
    assert examples.load(RECIPE, EVALUATOR, "search") == report


def test_a_part_has_one_name() -> None:
    name = part_name({"a": (0, 2), "b": (1,)})
    assert name == part_name({"b": (1,), "a": (0, 2), "c": ()})
    assert name != part_name({"a": (0, 2)})
    assert len(name) == 16


def test_a_disk_that_refuses_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, report: Report
) -> None:
    (tmp_path / "examples").write_text("")  # a file where the folder was
    with pytest.raises(InfrastructureError, match="cannot be written"):
        Examples(tmp_path / "examples").save(RECIPE, EVALUATOR, report)
    assert [path.name for path in tmp_path.iterdir()] == ["examples"]


def test_parts_are_listed_as_they_were_and_as_they_come(tmp_path: Path, report: Report) -> None:
    answers = {"sums": (Answer(place=0, doc=0, target="1", answer="2", score=0.0),)}
    first = report.model_copy(update={"places": {"sums": (0, 2)}, "answers": answers})
    Examples(tmp_path).save(RECIPE, EVALUATOR, first, "b1")
    Examples(tmp_path).save(RECIPE, EVALUATOR, report)
    Examples(tmp_path).save("c" * 64, EVALUATOR, first, "c1")
    examples = Examples(tmp_path)
    assert examples.parts(RECIPE, EVALUATOR, "search") == ["b1"]
    assert examples.parts(RECIPE, EVALUATOR, "holdout") == []
    examples.save(RECIPE, EVALUATOR, first, "a1")
    assert examples.parts(RECIPE, EVALUATOR, "search") == ["a1", "b1"]
    with_answers = examples.with_answers(RECIPE, EVALUATOR, "search", "b1")
    assert with_answers is not None
    assert with_answers.answers == answers
    assert Examples(tmp_path / "nowhere").parts(RECIPE, EVALUATOR, "search") == []
