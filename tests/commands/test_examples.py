"""Examples of a study and of an evaluation, as a person and as a program read them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evomerge.commands.examples import (
    ExampleChoice,
    check_free,
    show_examples,
    write_samples,
)
from evomerge.errors import UserError
from evomerge.evaluators.answers import Answer
from evomerge.evaluators.base import Report, Split, TaskScore
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.study.examples import part_name
from evomerge.study.record import Study

EVALUATOR = "e" * 64
WINNER, OTHER = Source(model="/models/winner"), Source(model="/models/other")
RIGHT = Answer(place=0, doc=7, target="4", answer="[red]4[/red]", score=1.0)
WRONG = Answer(
    place=1, doc=8, target="9", answer='{"answer": 8}', read="8", score=0.0, reason="wrong number"
)
CUT = Answer(place=2, doc=9, target="5", answer="and\nso", read="", score=0.0, reason="cut off")


def report(split: Split, *answers: Answer, task: str = "sums") -> Report:
    scores = tuple(answer.score for answer in answers)
    score = TaskScore(metric="exact_match", value=sum(scores) / len(scores), examples=scores)
    return Report(split=split, tasks={task: score}, answers={task: answers})


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    genes = [FloatGene(name="g", low=0, high=1)]
    with Study.create(tmp_path / "study", name="small", job={}, genes=genes) as made:
        made.put("evaluator", EVALUATOR)
        for number, recipe in enumerate((WINNER, OTHER)):
            made.ask(proposed_by="optimizer", genome=(0.5,), recipe=recipe, proposal=number)
        made.reports.save(digest(WINNER), EVALUATOR, report("search", WRONG))
        made.reports.save(digest(WINNER), EVALUATOR, report("holdout", RIGHT, WRONG, CUT))
        made.put("winner", {"label": "candidate 0", "recipe": plain(WINNER), "fitness": 0.5})
        yield made


def said(study: Study, *, as_json: bool = False, **choice: Any) -> str:
    out = Console(file=io.StringIO(), highlight=False, width=60)
    show_examples(study, ExampleChoice(**choice), as_json=as_json, out=out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_winners_holdout_is_shown(study: Study) -> None:
    text = said(study)
    assert "sums 0 (document 7): 1\n  target:  4\n  answer:  [red]4[/red]\n" in text
    assert "sums 1 (document 8): 0  wrong number\n" in text
    assert '  answer:  {"answer": 8}\n  read as: 8\n' in text
    assert "  answer:  and\n           so\n" in text
    assert "candidate 0, holdout: 3 of 3 examples" in text
    assert "wrong: wrong number 1, cut off 1" in text


def test_what_is_wanted_is_chosen(study: Study) -> None:
    text = said(study, wrong=True, limit=1)
    assert "document 8" in text
    assert "document 7" not in text
    assert "document 9" not in text
    assert "candidate 0, holdout: 1 of 2 wrong examples" in text
    assert "search: 1 of 1 examples" in said(study, split="search")
    with pytest.raises(UserError, match="--task sum: the tasks of holdout are sums"):
        said(study, task="sum")
    with pytest.raises(UserError, match="no candidate 2; there are 2"):
        said(study, candidate=2)


def test_a_program_reads_all_of_it(study: Study) -> None:
    data = json.loads(said(study, as_json=True, task="sums", limit=2))
    assert (data["model"], data["split"]) == ("candidate 0", "holdout")
    assert data["examples"][1] == {"task": "sums", **WRONG.model_dump()}
    assert len(data["examples"]) == 2


def test_a_record_that_names_no_evaluator_has_no_answers(study: Study) -> None:
    study.put("evaluator", None)
    with pytest.raises(UserError, match="no answers of"):
        said(study)


def test_answers_that_are_not_kept_are_said_to_be_missing(study: Study) -> None:
    with pytest.raises(UserError, match=r"no answers of candidate 1 are kept; .*keep_answers"):
        said(study, candidate=1)
    with pytest.raises(UserError, match="no answers of candidate 0 are kept for validation;"):
        said(study, split="validation")


def test_a_candidate_scored_in_parts_shows_all_of_them(study: Study) -> None:
    for places, answers in (((0, 2), (RIGHT, CUT)), ((1,), (WRONG,))):
        part = part_name({"sums": places})
        given = report("search", *answers).model_copy(update={"places": {"sums": places}})
        study.reports.save(digest(OTHER), EVALUATOR, given, part)
        study.add_stage(1, part=part, split="search", scored=len(places), fitness=None, worker="w")
    data = json.loads(said(study, candidate=1, as_json=True))
    assert data["split"] == "search"
    assert [row["place"] for row in data["examples"]] == [0, 1, 2]


def test_samples_have_lm_evals_names(tmp_path: Path) -> None:
    scored = report("holdout", RIGHT, WRONG, CUT)
    (path,) = write_samples(scored, tmp_path / "new" / "all.jsonl")
    first, second, third = map(json.loads, path.read_text().splitlines())
    assert first["filtered_resps"] == ["[red]4[/red]"]
    assert third["filtered_resps"] == [""]
    assert second == {
        "task": "sums",
        "doc_id": 8,
        "place": 1,
        "target": "9",
        "resps": [['{"answer": 8}']],
        "filtered_resps": ["8"],
        "metrics": ["exact_match"],
        "exact_match": 0.0,
        "reason": "wrong number",
    }
    (path,) = write_samples(report("holdout", RIGHT, task="a/sums"), tmp_path / "folder")
    assert path == tmp_path / "folder" / "samples_a_sums.jsonl"
    for taken in (tmp_path / "folder", tmp_path / "new" / "all.jsonl"):
        with pytest.raises(UserError, match="has samples already"):
            check_free(taken)
    check_free(tmp_path / "other")
    with pytest.raises(UserError, match="keeps no answers"):
        write_samples(scored.model_copy(update={"answers": {}}), tmp_path / "none")
