"""What was answered, beside the scores: never part of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from evomerge.evaluators.live_model import Generation, LogProb
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator
from evomerge.evaluators.registry import make_evaluator, read_evaluator
from tests.engines.conftest import Siblings
from tests.evaluators.scripted import ScriptedEngine
from tests.evaluators.task_folder import choice_task, evaluator, rolling_task, sum_task

SUMS = {"sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0}}
LONG = "so " * 4000


@pytest.fixture(scope="module")
def tokenizer(siblings: Siblings) -> Any:
    return AutoTokenizer.from_pretrained(siblings.one)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    return tmp_path


def build(folder: Path, data: dict[str, Any]) -> LmEvalEvaluator:
    config = read_evaluator(data, folder=folder, origin="evaluator.yaml")
    assert isinstance(config, LmEvalConfig)
    return LmEvalEvaluator(config)


def said(prompt: str) -> str:
    """Of six sums: right, empty and cut off, wrong, no number, long and right, right."""
    a, b = (int(number) for number in re.findall(r"\d+", prompt)[-2:])
    answers = [f"{a + b}", "", f"{a} + {b} = 7", "no idea", f"{LONG} {a + b}.0", f"{a + b}"]
    return answers[a % 10]


def test_generated_answers_with_their_reasons(folder: Path, tokenizer: Any) -> None:
    report = build(folder, evaluator(SUMS)).evaluate(ScriptedEngine(tokenizer, said), "holdout")
    answers = report.answers["sums"]
    assert [answer.place for answer in answers] == list(range(6))
    assert [answer.doc for answer in answers] == list(range(6))
    assert [answer.target for answer in answers] == ["21", "23", "25", "27", "29", "31"]
    assert [answer.score for answer in answers] == list(report.tasks["sums"].examples)
    reasons = [answer.reason for answer in answers]
    assert reasons == ["", "empty", "wrong number", "no match", "", ""]
    assert answers[2].answer == "22 + 3 = 7"
    assert answers[2].read == "7"
    assert len(answers[4].answer) == 2000
    assert answers[4].answer.endswith(" 29.0")
    assert answers[5].read is None
    assert answers[3].read == ""


def test_a_choice_says_which_option_was_taken(folder: Path, tokenizer: Any) -> None:
    choice_task(folder / "tasks")

    class Chooses(ScriptedEngine):
        """Finds `a green` likeliest in all, and `red` by the character."""

        def logprobs(self, pairs: Sequence[Any], between_steps: Any = None) -> list[LogProb]:
            options = [str(self.tokenizer.decode(pair[1])).strip() for pair in pairs]
            worth = {"red": -3.0, "blue": -9.0, "a green": -2.0}
            return [LogProb(worth[option], False) for option in options]

    for metric, chosen in (("acc", "a green"), ("acc_norm", "a green")):
        suite = build(folder, evaluator({"colours": {"metric": metric, "weight": 1.0}}))
        report = suite.evaluate(Chooses(tokenizer), "search")
        answers = report.answers["colours"]
        assert {answer.answer for answer in answers} == {chosen}, metric
        right = ["red", "blue", "a green", "red", "blue"]
        assert [answer.target for answer in answers] == right
        for answer in answers:
            assert answer.score == (answer.target == chosen)
            assert answer.reason == ("" if answer.target == chosen else "other option")


def test_a_part_keeps_the_answers_of_its_places(folder: Path, tokenizer: Any) -> None:
    splits = {"search": {"split": "holdout", "first": 1}, "holdout": "validation"}
    suite = build(folder, evaluator(SUMS, splits=splits))
    engine = ScriptedEngine(tokenizer, said)
    report = suite.evaluate(engine, "search", {"sums": (1, 3)})
    assert [(answer.place, answer.doc) for answer in report.answers["sums"]] == [(1, 2), (3, 4)]
    assert report.answers["sums"][0] == suite.evaluate(engine, "search").answers["sums"][1]


def test_they_can_be_switched_off(folder: Path, tokenizer: Any) -> None:
    kept, not_kept = (
        read_evaluator(evaluator(SUMS, **keys), folder=folder, origin="evaluator.yaml")
        for keys in ({}, {"keep_answers": False})
    )
    engine = ScriptedEngine(tokenizer, said)
    with_answers, without = (
        make_evaluator(config).evaluate(engine, "holdout") for config in (kept, not_kept)
    )
    assert without.answers == {}
    assert without.tasks == with_answers.tasks
    assert kept.digest() == not_kept.digest()


def test_text_that_is_only_scored_has_no_answers(folder: Path, tokenizer: Any) -> None:
    rolling_task(folder / "tasks")
    suite = build(folder, evaluator({"prose": {"metric": "bits_per_byte", "weight": 1.0}}))
    assert suite.evaluate(ScriptedEngine(tokenizer), "search").answers["prose"] == ()


def test_what_was_cut_off_is_of_one_candidate(folder: Path, tokenizer: Any) -> None:
    class CutsOff(ScriptedEngine):
        """Cuts off every answer, or none."""

        cuts = True

        def generate(self, *asked: Any) -> list[Generation]:
            answers = super().generate(*asked)
            return [replace(answer, truncated=self.cuts) for answer in answers]

    engine = CutsOff(tokenizer, lambda prompt: "it is 7")
    suite = build(folder, evaluator(SUMS))
    reasons = []
    for cuts in (True, False):
        engine.cuts = cuts
        reasons.append(
            {answer.reason for answer in suite.evaluate(engine, "holdout").answers["sums"]}
        )
    assert reasons == [{"cut off"}, {"wrong number"}]
