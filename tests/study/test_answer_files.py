from __future__ import annotations

import os
from pathlib import Path

import pytest

from evomerge.errors import RecordError
from evomerge.evaluators.answers import Answer, Answers
from evomerge.evaluators.base import Report
from evomerge.study.answer_files import AnswerFiles
from evomerge.study.examples import Examples, part_name
from evomerge.study.kept_files import KeptFiles

RECIPE = "a" * 64
EVALUATOR = "b" * 64


def answers(text: str = "5") -> Answers:
    return {"sums": (Answer(place=0, doc=3, target="4", answer=text, score=0.0),)}


def test_answers_lie_beside_the_scores(tmp_path: Path, report: Report) -> None:
    examples = Examples(tmp_path)
    plain = tmp_path / "plain"
    plain.mkdir()
    Examples(plain).save(RECIPE, EVALUATOR, report)
    examples.save(RECIPE, EVALUATOR, report.model_copy(update={"answers": answers()}))
    name = f"{RECIPE}.{'b' * 16}.search.json.gz"
    # The file of the scores is what it is without answers.
    assert (tmp_path / name).read_bytes() == (plain / name).read_bytes()
    assert examples.load(RECIPE, EVALUATOR, "search") == report
    assert examples.load_answers(RECIPE, EVALUATOR, "search") == answers()
    assert examples.load_answers(RECIPE, EVALUATOR, "holdout") is None
    assert Examples(plain).load_answers(RECIPE, EVALUATOR, "search") is None


def test_parts_keep_theirs(tmp_path: Path, report: Report) -> None:
    examples = Examples(tmp_path)
    part = part_name({"sums": (0,)})
    examples.save(RECIPE, EVALUATOR, report.model_copy(update={"answers": answers()}), part)
    assert examples.load_answers(RECIPE, EVALUATOR, "search", part) == answers()
    assert examples.load_answers(RECIPE, EVALUATOR, "search") is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    AnswerFiles(KeptFiles(tmp_path)).save("a.b.search", answers())
    (tmp_path / "a.b.search.answers.json.gz").write_bytes(b"no")
    with pytest.raises(RecordError, match=r"search\.answers\.json\.gz: is damaged"):
        AnswerFiles(KeptFiles(tmp_path)).load("a.b.search")


def test_what_is_dropped_first(tmp_path: Path) -> None:
    """The oldest of the search, then the validation's; the holdout's stay."""
    order = ["h.e.holdout", "v.e.validation", "new.e.search.part", "old.e.search"]
    size = 0
    for age, name in enumerate(order):
        AnswerFiles(KeptFiles(tmp_path)).save(name, answers(f"answer {age}"))
        path = tmp_path / f"{name}.answers.json.gz"
        os.utime(path, ns=(10**18 - age, 10**18 - age))
        size += path.stat().st_size
    for kept in (3, 2, 1):
        one = size // len(order)
        files = AnswerFiles(KeptFiles(tmp_path), most_bytes=one * kept + 7 * one // 10)
        files.save("h.e.holdout", answers("answer 0"))
        names = {path.name.removesuffix(".answers.json.gz") for path in tmp_path.iterdir()}
        assert names == set(order[:kept]), kept


def test_a_file_that_is_replaced_counts_once(tmp_path: Path) -> None:
    files = AnswerFiles(KeptFiles(tmp_path), most_bytes=400)
    for _ in range(10):
        files.save("one.e.search", answers())
    assert files.load("one.e.search") == answers()
