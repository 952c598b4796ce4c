"""What a search has found, as Python has it: frames, winner, comparison, pictures, exports."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import evomerge
from evomerge.cluster.local import InProcess
from evomerge.errors import UserError
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Stack
from evomerge.results import Results
from evomerge.study.record import Study
from evomerge.trust import VARIABLE
from tests.small_job import SmallJob
from tests.sphere import Sphere, Worker, search


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of one search for all tests, which only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "1")
        job = SmallJob(tmp_path_factory.mktemp("place"))
        return evomerge.search(job.path, job.folder / "study")


def test_a_search_gives_what_load_gives(results: Results) -> None:
    again = evomerge.load(results.path)
    assert (again.name, again.objectives) == ("small", ("fitness",))
    assert again.candidates.equals(results.candidates)
    assert again.winner == results.winner
    assert again.comparison == results.comparison
    assert again.ended == "the budget of 6 candidates is spent"
    assert again.to_text() == results.to_text()
    assert repr(again) == repr(results)


def test_a_search_leaves_notes_for_the_dashboard(results: Results) -> None:
    """`tests/reports/test_notes.py` has what they say."""
    record = (results.path / "journal.log").read_text()
    marked = [line for line in record.splitlines() if "**Winner**, chosen on" in line]
    assert results.winner is not None
    assert len(marked) == results.winner.label.startswith("candidate")
    for owner in ("", *(f"{number}:" for number in range(6))):
        assert f'"dashboard:{owner}note_ver":1' in record.replace(" ", "")


def test_candidates_are_a_frame(results: Results) -> None:
    frame = results.candidates
    assert list(frame.index) == list(range(6))
    assert list(frame.state) == ["done"] * 6
    assert list(frame.origin[:3]) == ["uniform", "parent:one", "parent:three"]
    best = frame.fitness.idxmax()
    assert best == results.best(1)[0].number
    assert frame.loc[best, "task.likely"] == frame.fitness.max()
    assert list(frame.loc[1, ["gene.one.weight", "gene.three.weight"]]) == [1.0, 0.0]
    assert results.recipe(best) == results.recipe(int(best))
    assert digest(results.recipe(best)) == frame.loc[best, "digest"]


def test_examples_are_a_frame(results: Results) -> None:
    frame = results.examples
    assert list(frame.columns) == ["model", "candidate", "split", "task", "place", "score"]
    counts = frame.groupby("split").place.nunique()
    assert dict(counts) == {"holdout": 5, "search": 4, "validation": 3}
    searched = frame[frame.split == "search"]
    means = searched.groupby("candidate").score.mean()
    assert means.to_list() == pytest.approx(results.candidates.fitness.to_list())
    holdout = frame[frame.split == "holdout"].groupby("model").score.mean()
    assert results.comparison is not None
    (table,) = results.comparison.tables
    rows = {row.model: row.value for row in table.rows}
    assert {name: holdout[name] for name in rows} == pytest.approx(rows)
    validation = frame[frame.split == "validation"].groupby("model").score.mean()
    assert results.winner is not None
    assert validation[results.winner.label] == pytest.approx(results.winner.fitness)


def test_the_winner_is_the_one_on_record(results: Results) -> None:
    winner = results.winner
    assert winner is not None
    assert isinstance(winner.recipe, Merge)
    assert winner.recipe == results.recipe()
    assert winner.number is not None
    assert digest(winner.recipe) == results.candidates.loc[winner.number, "digest"]
    recommended = dataclasses.replace(winner, label="recommendation")
    assert recommended.number is None


def test_it_says_in_a_line_what_it_is(results: Results) -> None:
    assert results.winner is not None
    best = results.best(1)[0]
    assert best.fitness is not None
    assert repr(results) == (
        f"<Results of small in {results.path}: 6 candidates; best on the search split"
        f" {best.fitness[0]:.4f} (candidate {best.number}); winner {results.winner.label},"
        f" {results.winner.fitness:.4f} on the validation split>"
    )
    assert results.comparison is not None
    assert results.comparison.to_text() in results.to_text()
    assert results._repr_html_().startswith("<pre>small in ")


def test_it_exports_what_the_command_exports(results: Results, tmp_path: Path) -> None:
    assert results.winner is not None
    assert results.export(tmp_path / "model") == results.winner.label
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert results.export(tmp_path / "adapter", candidate=0, format="adapter") == "candidate 0"
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    results.export(tmp_path / "recipe.yaml", format="recipe")
    results.export(tmp_path / "mergekit.yaml", format="mergekit")
    assert "merge_method: task_arithmetic" in (tmp_path / "mergekit.yaml").read_text()


def test_a_picture_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    inputs = {name: Source(model=f"org/{name}") for name in ("a", "b")}
    hops = (Hop(of="a", layer=0), Hop(of="b", layer=1, scale=0.9))
    stack = Stack(inputs=inputs, embedding="a", head="a", hops=hops)
    job = {"space": {"kind": "dataflow"}}
    with Study.create(tmp_path / "s", name="paths", job=job, genes=()) as study:
        study.ask(proposed_by="landmark", genome=(), recipe=stack, label="first")
    picture = evomerge.load(tmp_path / "s").plot("path", candidate=0)
    assert repr(picture) == "<Picture of candidate 0>"
    assert "<svg" in picture._repr_svg_()
    picture.save(tmp_path / "path.svg")
    assert (tmp_path / "path.svg").read_text() == picture.svg
    with pytest.raises(UserError, match="exists already"):
        picture.save(tmp_path / "path.svg")


def test_a_study_under_way_is_read_as_it_stands(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=5, executor=InProcess(partial(Worker, Sphere()))) as own:
        own.put("evaluator", "e" * 64)
        results = evomerge.load(tmp_path / "s")  # while it is open for writing
    assert results.winner is None
    assert results.comparison is None
    assert "winner" not in repr(results)
    assert "2 failed" in repr(results), "weights of 1 fail"
    frame = results.candidates
    assert list(frame.failure.dropna()) == ["too heavy"] * 2
    assert frame.fitness.isna().sum() == 2
    assert set(results.examples.split) == {"search"}
    assert results.examples.candidate.nunique() == 3


def test_a_study_without_candidates_has_empty_frames(tmp_path: Path) -> None:
    Study.create(tmp_path / "s", name="new", job={}, genes=()).close()
    results = evomerge.load(tmp_path / "s")
    assert len(results.candidates) == len(results.examples) == 0
    assert results.best() == []
    assert results.ended is None
    assert repr(results).endswith("s: 0 candidates>")
    with pytest.raises(UserError, match="no candidate has been scored yet"):
        results.recipe()


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a study"):
        evomerge.load(tmp_path)


def test_a_job_may_be_a_dictionary(small_job: SmallJob, tmp_path: Path) -> None:
    """Its paths are relative to the working directory, and may be paths; so is the study."""
    written: dict[str, Any] = small_job.written | {
        "sources": {
            "base": Path("models/base"),
            "one": {"model": "models/base", "adapter": Path("models/one")},
            "three": {"model": "models/base", "adapter": "models/three"},
        },
        "budget": {"candidates": 1},
    }
    with contextlib.chdir(small_job.folder):
        results = evomerge.search(written)
        with pytest.raises(UserError, match=r"^job: budget: a budget needs candidates"):
            evomerge.search(written | {"budget": {}})
    assert results.path == Path("runs/small")
    with Study.open(small_job.folder / "runs" / "small", write=False) as study:
        assert study.job["sources"]["base"]["model"] == str(small_job.folder / "models" / "base")
    assert len(results.examples) > 0, "from any working directory"


def test_evaluate_takes_names(small_job: SmallJob) -> None:
    """Of a model, a recipe's file, an evaluator's file or its keys, and an engine."""
    import yaml

    (small_job.folder / "likely.yaml").write_text(yaml.safe_dump(small_job.written["evaluator"]))
    with contextlib.chdir(small_job.folder):
        report = evomerge.evaluate("models/base", "likely.yaml", engine="transformers")
        assert report.split == "holdout"
        assert len(report.tasks["likely"].examples) == 5
        again = evomerge.evaluate(
            Path("models/base"),
            small_job.written["evaluator"],
            split="search",
            engine={"kind": "transformers"},
        )
        assert len(again.tasks["likely"].examples) == 4
        with pytest.raises(UserError, match=r"^engine: unknown engine 'transformer'; did you mean"):
            evomerge.evaluate("models/base", "likely.yaml", engine="transformer")


def test_the_package_lists_its_verbs() -> None:
    assert dir(evomerge) == sorted(evomerge.__all__)
    for name in evomerge.__all__:
        thing = getattr(evomerge, name)
        assert thing.__doc__, name
