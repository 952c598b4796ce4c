"""What stands in the notes for optuna-dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.evaluators.base import Failure, Report, TaskScore
from evomerge.recipe.digest import plain
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Hop, Merge, Recipe, Segments, Stack
from evomerge.reports.notes import GENES, candidate_note, study_note, write_notes
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study

SOURCES = {name: Source(model=f"org/{name}") for name in ("base", "json", "math")}
MERGE = Merge(method="task_arithmetic", base="base", inputs=SOURCES)
VALUES = {"json.weight": 0.72391, "math.weight": 1.0}


def report(split: Any = "search", examples: tuple[float, ...] = (1.0, 0.0)) -> Report:
    value = sum(examples) / len(examples)
    score = TaskScore(metric="exact_match", value=value, examples=examples)
    return Report(split=split, tasks={"json_sums": score})


def candidate(**known: Any) -> Candidate:
    facts: dict[str, Any] = {
        "number": 3,
        "proposed_by": "optimizer",
        "label": None,
        "proposal": 0,
        "genome": (),
        "values": VALUES,
        "recipe": {},
        "digest": "",
        "asked": 0,
        "asked_s": 0.0,
        "state": "done",
        "fitness": (0.5,),
        "tasks": {"json_sums": 0.5},
    }
    return Candidate(**facts | known)


def note(recipe: Recipe, **known: Any) -> str:
    return candidate_note(candidate(**known), recipe, ("fitness",))


def test_a_merge_has_its_genes_in_a_table() -> None:
    assert (
        note(MERGE)
        == r"""Candidate 3: proposed by the optimizer

| score | value |
| --- | --- |
| fitness | 0.5 |
| json\_sums | 0.5 |

Recipe: task\_arithmetic on base

| gene | value |
| --- | --- |
| json.weight | 0.7239 |
| math.weight | 1 |"""
    )


def test_of_many_genes_the_first_are_shown() -> None:
    text = note(MERGE, values={f"{layer}.json.weight": 0.5 for layer in range(GENES + 3)})
    assert text.endswith(f"| {GENES - 1}.json.weight | 0.5 |\n\nand 3 more genes")


def test_a_stack_has_its_path_in_words() -> None:
    hops = [Hop(of="json", layer=n) for n in range(3)] + [Hop(of="math", layer=3, scale=0.5)]
    stack = Stack(inputs=SOURCES, embedding="json", head="math", hops=tuple(hops))
    assert note(stack).endswith("\n\nLayers, 4 in all: json 0-2, math 3 x0.5")
    assert "gene" not in note(stack)


def test_a_crossed_member_has_the_share_of_each_model() -> None:
    ranges = Chromosome(ends=(10, 40), coefficients={"json": (1.0, 0.0), "math": (0.0, 1.0)})
    two = {name: SOURCES[name] for name in ("json", "math")}
    text = note(
        Segments(base="json", inputs=two, chromosomes=(ranges,)), values={"members": "a table"}
    )
    assert text.endswith("| model | share |\n| --- | --- |\n| json | 0.25 |\n| math | 0.75 |")


def test_a_source_is_said_to_be_one() -> None:
    assert note(SOURCES["json"]).endswith("\n\nRecipe: one of the models as it is")


def test_a_failure_says_why_in_one_line() -> None:
    why = Failure(cause="candidate", message="not finite:\n<b>layer</b> " + 400 * "x")
    text = note(MERGE, state="failed", fitness=None, tasks={}, failure=why)
    assert r"**Failed:** not finite: \<b\>layer\</b\> xxx" in text
    assert f"{(300 - 28) * 'x'} ..." in text
    assert "| score |" not in text


def test_a_stopped_candidate_has_the_scores_it_came_to() -> None:
    text = note(MERGE, state="stopped", fitness=None, partial=(0.25,), proposed_by="landmark")
    assert "Candidate 3: warm start\n\n**Stopped** by its schedule" in text
    assert "| fitness | 0.25 |" in text


def test_several_objectives_have_their_names() -> None:
    text = candidate_note(candidate(fitness=(0.5, -12.0)), MERGE, ("fitness", "layers"), "**Mark**")
    assert text.startswith("**Mark**\n\nCandidate 3")
    assert "| fitness | 0.5 |\n| layers | -12 |" in text


def ended(folder: Path, label: str) -> tuple[Study, Comparison]:
    """A study of a candidate that is done, one that failed and one under way, and its end."""
    genes = tuple(FloatGene(name=name, low=0.0, high=2.0) for name in VALUES)
    job = {"sources": {name: {"model": f"/secret/{name}"} for name in SOURCES}}
    study = Study.create(folder, name="small", job=job, genes=genes)
    for known in ("uniform", "broken", "late"):
        study.ask(proposed_by="landmark", label=known, genome=(0.25, 0.5), recipe=MERGE)
    study.tell(0, report(), (0.5,), worker="w")
    study.tell(1, Failure(cause="candidate", message="not finite"), None, worker="w")
    study.put("winner", {"label": label, "recipe": plain(MERGE), "fitness": 0.475})
    study.put("ended", {"by": "candidates", "said": "the budget of 3 candidates is spent"})
    scores = {"evolved": report("holdout"), "json": report("holdout", (0.0, 0.0))}
    return study, Comparison.of(scores, winner="evolved", parents=("json",))


def test_the_winner_is_marked_on_its_trial_and_on_the_study(tmp_path: Path) -> None:
    storage_url = pytest.importorskip("optuna_dashboard._storage_url")
    reader = pytest.importorskip("optuna_dashboard._note")
    study, comparison = ended(tmp_path / "study", "candidate 0")
    with study:
        write_notes(study, comparison)
    storage = storage_url.get_storage(str(tmp_path / "study" / "journal.log"))
    attributes = storage.get_study_system_attrs(storage.get_study_id_from_name("small"))
    of_study, first, second, third = (
        reader.get_note_from_system_attrs(attributes, of)["body"] for of in (None, 0, 1, 2)
    )
    assert comparison.verdict is not None
    assert of_study.splitlines()[::2] == [
        "# small",
        "**Winner: candidate 0**, chosen on the validation split: fitness 0.475",
        "**Verdict:** " + comparison.verdict.sentence.replace("_", r"\_"),
        "Sources: base, json, math",
        "The search is over: the budget of 3 candidates is spent",
    ]
    assert first.startswith(
        "**Winner**, chosen on the validation split: fitness 0.475\n\n"
        "Candidate 0: warm start uniform\n\n"
    )
    assert second.startswith("Candidate 1: warm start broken\n\n**Failed:** not finite\n\n")
    assert third == ""
    assert "secret" not in str(attributes)


def test_a_recommendation_is_no_trial(tmp_path: Path) -> None:
    study, comparison = ended(tmp_path / "study", "recommendation")
    with study:
        write_notes(study, comparison)
        said = study_note(study, comparison)
    assert "**Winner: recommendation**, chosen on the validation split: fitness 0.475" in said
    assert "It is where the optimizer ended, and none of the trials." in said
    assert "**Winner**" not in (tmp_path / "study" / "journal.log").read_text()


def test_of_many_candidates_the_best_have_notes(tmp_path: Path) -> None:
    study, comparison = ended(tmp_path / "study", "candidate 0")
    with study:
        write_notes(study, comparison, limit=1)
    journal = (tmp_path / "study" / "journal.log").read_text()
    assert "Candidate 0: warm start uniform" in journal
    assert "Candidate 1: warm start broken" not in journal
