"""Problems in more sentence forms: right, in English, and with nothing known from another split."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations

import pytest
from forms import FILLINGS, FORM_SPLITS, FORMS, FormSplit
from generate import evaluation_file, evaluation_files, training_examples
from overlap import CHOOSING, FUNCTION_WORDS, content, problem_wordings, runs, sentences, shared
from overlap import main as print_overlap
from overlap import wordings as all_wordings
from partition import EVALUATION_SPLITS
from vocabulary import FOREIGN_NAMES, FOREIGN_THINGS, MORE_THINGS, NAMES, OBJECTS, THINGS

from tests.examples.sums_by_hand import SUMS_BY_HAND

JSON_REQUEST = " Answer in JSON."
LEAST: dict[FormSplit, int] = {"foreign": 400, "search_varied": 240, "validation_varied": 240}
VARIED: tuple[FormSplit, ...] = ("search_varied", "validation_varied")
ALL_SPLITS = (*EVALUATION_SPLITS, *FORM_SPLITS)


def rows(split: str, task: str = "json_math") -> list[dict[str, str]]:
    """The committed problems of a split."""
    path = evaluation_file("math", "search").parents[1] / task / f"{split}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def numbers(row: dict[str, str]) -> list[int]:
    """The numbers of a question, as they stand there."""
    return [int(found) for found in re.findall(r"\d+", row["question"])]


def by_hand(question: str) -> list[str]:
    """The sums that a question may ask for, by its words."""
    return [
        formula
        for piece, formula in SUMS_BY_HAND.items()
        if re.search(re.escape(piece).replace(r"\*", r"\w+"), question)
    ]


def test_committed_problems_are_what_the_generator_yields() -> None:
    made = evaluation_files()
    assert {path: path.read_text(encoding="utf-8") for path in made} == made
    assert len(made) == 16


@pytest.mark.parametrize("split", FORM_SPLITS)
def test_splits_are_large_and_hold_every_form_alike_often(split: FormSplit) -> None:
    found = rows(split)
    assert len({row["question"] for row in found}) == len(found) >= LEAST[split]
    uses = Counter(row["template"] for row in found)
    assert set(uses) == {form.question for form in FORMS[split]}
    assert max(uses.values()) - min(uses.values()) <= 1
    first = found[: len(uses)]
    assert len({row["template"] for row in first}) == len(uses)  # none again before all came once


@pytest.mark.parametrize("split", FORM_SPLITS)
def test_answers_are_right_by_a_sum_from_the_sentence_alone(split: FormSplit) -> None:
    for row in rows(split):
        (formula,) = by_hand(row["question"])
        named = dict(zip("xyz", numbers(row), strict=False))
        assert len(named) == len(numbers(row)) == len(set(re.findall("[xyz]", formula)))
        assert int(row["answer"]) == eval(formula, {}, named), row["question"]
    assert len(rows(split)) >= LEAST[split]


def test_each_sum_by_hand_is_of_one_form() -> None:
    asked = [row["question"] for split in FORM_SPLITS for row in rows(split)]
    forms = Counter(row["template"] for split in FORM_SPLITS for row in rows(split))
    assert len(SUMS_BY_HAND) == len(forms)
    assert all(len(by_hand(question)) == 1 for question in asked)


def test_without_json_the_foreign_problems_are_the_same() -> None:
    plain, in_json = rows("foreign", "math"), rows("foreign")
    assert [row["question"] + JSON_REQUEST for row in plain] == [r["question"] for r in in_json]
    assert [row["answer"] for row in plain] == [row["answer"] for row in in_json]


@pytest.mark.parametrize("split", FORM_SPLITS)
def test_questions_are_whole_short_and_of_their_template(split: FormSplit) -> None:
    for row in rows(split):
        plain = row["question"].removesuffix(JSON_REQUEST)
        assert plain != row["question"]
        assert re.fullmatch(r"[\"A-Z0-9].*[.?]", plain), plain
        assert not re.search(r"[{}]|  |\s[,.?]", plain), plain
        assert plain.count('"') % 2 == 0
        assert len(plain.split()) <= 40
        literal = re.split(r"\{\w+\}", row["template"])
        assert re.fullmatch(r"\w+".join(map(re.escape, literal)), plain), plain
    assert len(rows(split)) >= LEAST[split]


def test_arithmetic_is_no_larger_than_the_holdouts() -> None:
    known = [number for row in rows("holdout") for number in (*numbers(row), int(row["answer"]))]
    asked = [row for split in FORM_SPLITS for row in rows(split)]
    used = [number for row in asked for number in (*numbers(row), int(row["answer"]))]
    assert min(used) > 0
    assert max(used) <= max(known)


# Foreign: no word but function words, no sentence and no run of words that any other split has.


def others_than(split: str) -> list[str]:
    return [w for other, own in all_wordings().items() if other != split for w in own]


def test_foreign_shares_no_verb_and_no_other_word_of_content_with_any_split() -> None:
    own = content(all_wordings()["foreign"])
    assert len(own) > 150
    assert own & content(others_than("foreign")) == set()
    assert {"sell", "gather", "plan"} <= content(others_than("foreign"))  # sold, gathered, planned


@pytest.mark.parametrize("split", FORM_SPLITS)
def test_forms_share_no_sentence_and_no_wording_with_another_split(split: FormSplit) -> None:
    own = {sentence for wording in all_wordings()[split] for sentence in sentences(wording)}
    assert len(own) > len(FORMS[split]) / 2
    assert own & {s for wording in others_than(split) for s in sentences(wording)} == set()


def test_families_are_of_one_split_each() -> None:
    families = {split: {form.family for form in FORMS[split]} for split in FORM_SPLITS}
    assert len(families["foreign"]) >= 8
    for one, other in combinations(FORM_SPLITS, 2):
        assert families[one] & families[other] == set()


def test_runs_of_words_that_splits_share(capsys: pytest.CaptureFixture[str]) -> None:
    problems, whole = problem_wordings(), all_wordings()
    choosing = [wording for split in CHOOSING for wording in whole[split]]
    every_other = others_than("foreign")
    assert shared(problems["foreign"], every_other, 3) < 0.03
    assert runs(problems["foreign"], 5) & runs(every_other, 5) == set()
    # The measure sees what was criticised: the holdout's wordings are cousins of the others.
    assert shared(problems["holdout"], choosing, 3) > 0.25
    for split in VARIED:
        for unseen in ("holdout", "foreign"):
            assert shared(problems[split], whole[unseen], 3) < 0.1
    print_overlap()
    assert "foreign" in capsys.readouterr().out


def test_varied_problems_share_verbs_neither_with_holdout_nor_with_foreign() -> None:
    problems = problem_wordings()
    varied = content([wording for split in VARIED for wording in problems[split]])
    assert varied & content(problems["holdout"]) == {"each", "left"}
    assert varied & content(problems["foreign"]) == set()


def test_people_and_things_of_foreign_are_its_own() -> None:
    elsewhere = {*NAMES, *THINGS, *MORE_THINGS, *" ".join(OBJECTS).split()}
    assert not elsewhere & {*FOREIGN_NAMES, *FOREIGN_THINGS}
    spoken = " ".join(w for split in all_wordings() for w in others_than(split)).lower().split()
    assert not {name.lower() for name in FOREIGN_NAMES} & {*spoken}
    assert not set(FILLINGS["search_varied"].names) & set(FILLINGS["validation_varied"].names)


def test_operands_are_those_of_splits_that_no_training_sees() -> None:
    operands = {s: {tuple(sorted(numbers(row))) for row in rows(s)} for s in ALL_SPLITS}
    trained = {
        tuple(sorted(int(n) for n in re.findall(r"\d+", example.question)))
        for example in training_examples("math", 3000, 1)
    }
    assert not operands["foreign"] & (trained | operands["search"] | operands["validation"])
    for one, other in combinations(FORM_SPLITS, 2):
        assert not operands[one] & operands[other]
    for split in VARIED:
        assert not operands[split] & (trained | operands["holdout"])


def test_function_words_hide_no_verb_of_a_story() -> None:
    assert not FUNCTION_WORDS & {"give", "take", "get", "make", "put", "buy", "sell", "keep", "go"}
