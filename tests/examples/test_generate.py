"""The data of the specialists: the same every time, and no example known from training."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest
from generate import (
    SKILLS,
    TASKS,
    Skill,
    Task,
    evaluation_examples,
    evaluation_file,
    to_jsonl,
    training_digest,
    training_examples,
)
from partition import EVALUATION_SPLITS, Split
from questions import third_person

SEEDS_TRIED = 3
FLAGSHIP_AT_LEAST: dict[Split, int] = {"search": 200, "validation": 200, "holdout": 400}


def rows(task: Task, split: Split) -> list[dict[str, object]]:
    """The committed examples of a split."""
    text = evaluation_file(task, split).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def operands(task: Task, split: Split) -> set[tuple[int, ...]]:
    """Numbers as the questions show them, not as the generator noted them."""
    found = (re.findall(r"\d+", str(row["question"])) for row in rows(task, split))
    return {tuple(sorted(map(int, numbers))) for numbers in found}


def wordings(task: Task, split: Split) -> set[str]:
    """Wordings as `template` says; `test_template_is_that_of_the_question` holds it to that."""
    return {str(row["template"]) for row in rows(task, split)}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("split", EVALUATION_SPLITS)
def test_committed_data_are_what_the_generator_yields(task: Task, split: Split) -> None:
    committed = evaluation_file(task, split).read_text(encoding="utf-8")
    assert committed == to_jsonl(evaluation_examples(task, split))


@pytest.mark.parametrize("skill", SKILLS)
def test_training_data_follow_from_the_seed(skill: Skill) -> None:
    first, again, other = (training_digest(training_examples(skill, 50, s)) for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(("split", "least"), list(FLAGSHIP_AT_LEAST.items()))
def test_flagship_splits_are_large_enough(split: Split, least: int) -> None:
    questions = {row["question"] for row in rows("json_math", split)}
    assert len(questions) == len(rows("json_math", split)) >= least


@pytest.mark.parametrize(("one", "other"), list(combinations(EVALUATION_SPLITS, 2)))
def test_problems_of_two_splits_share_no_wording_and_no_numbers(one: Split, other: Split) -> None:
    for a in ("json_math", "math"):
        for b in ("json_math", "math"):
            assert not wordings(a, one) & wordings(b, other)
            assert not operands(a, one) & operands(b, other)


@pytest.mark.parametrize("split", EVALUATION_SPLITS)
@pytest.mark.parametrize("task", ["json_math", "math"])
def test_training_shares_no_wording_and_no_numbers_with_a_problem(task: Task, split: Split) -> None:
    for seed in range(SEEDS_TRIED):
        trained = training_examples("math", 2000, seed)
        assert not {e.template for e in trained} & wordings(task, split)
        numbers = {tuple(sorted(map(int, re.findall(r"\d+", e.question)))) for e in trained}
        assert not numbers & operands(task, split)


@pytest.mark.parametrize("task", ["json_math", "math"])
def test_template_is_that_of_the_question(task: Task) -> None:
    for split in EVALUATION_SPLITS:
        assert rows(task, split)
        for row in rows(task, split):
            literal = re.split(r"\{\w+\}", str(row["template"]))
            pattern = r"\w+".join(map(re.escape, literal)) + r"( Answer in JSON\.)?"
            assert re.fullmatch(pattern, str(row["question"]))


def test_no_specialist_is_trained_on_the_flagship() -> None:
    for skill in SKILLS:
        examples = training_examples(skill, 1000, 1)
        assert len(examples) == 1000
        for example in examples:
            asks_for_json = "JSON" in example.question
            assert not (asks_for_json and re.search(r"\d", example.question))


@pytest.mark.parametrize("task", ["json", "spell"])
def test_own_skills_are_tested_on_people_and_words_unseen_in_training(task: Skill) -> None:
    seen = {e.key[0] for e in training_examples(task, 3000, 1)}
    for one, other in combinations(EVALUATION_SPLITS, 2):
        subjects = [{row["key"][0] for row in rows(task, s)} for s in (one, other)]  # type: ignore[index]
        assert not subjects[0] & subjects[1]
        assert not seen & (subjects[0] | subjects[1])


def test_json_questions_of_two_splits_share_no_sentence() -> None:
    for one, other in combinations(EVALUATION_SPLITS, 2):
        assert not wordings("json", one) & wordings("json", other)
    trained = {e.template for e in training_examples("json", 3000, 1)}
    assert not trained & set().union(*(wordings("json", split) for split in EVALUATION_SPLITS))


@pytest.mark.parametrize("task", TASKS)
def test_responses_hold_the_answer_and_stay_short(task: Task) -> None:
    for split in EVALUATION_SPLITS:
        examples = evaluation_examples(task, split)
        assert examples
        for example in examples:
            assert example.answer in example.response
            assert len(example.question.split()) <= 40
            assert "{" not in example.question


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("carry", "carries"), ("buy", "buys"), ("put down", "puts down"), ("wash", "washes")],
)
def test_third_person(verb: str, expected: str) -> None:
    assert third_person(verb) == expected
