"""A search over adapters, in this process, and its winner as an adapter."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

import evomerge
from evomerge import api
from evomerge.commands.main import app
from evomerge.config import read_job
from evomerge.errors import UserError
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory, read_inventory
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from evomerge.searching.progress import Scoring
from evomerge.study.record import Study
from evomerge.study.select_recipe import winner
from tests.merging.loadable import check_loads


def test_a_search_over_adapters_ends_in_an_adapter(job: Path, tmp_path: Path) -> None:
    evomerge.search(job, tmp_path / "study")
    with Study.open(tmp_path / "study", write=False) as study:
        assert [one.state for one in study.candidates()] == ["done"] * 6
        label, recipe = winner(study)
    out = tmp_path / "adapter"
    assert evomerge.export_adapter(tmp_path / "study", out) == label
    check_loads(recipe, str(tmp_path / "models" / "base"), out)
    assert "## Scores" in (out / "README.md").read_text()
    evomerge.export_adapter(tmp_path / "study", tmp_path / "cut", rank=1)
    assert "## Scores" not in (tmp_path / "cut" / "README.md").read_text()


def test_a_search_by_a_dictionary(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its paths are relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    base = {"model": "models/base"}
    adapters = {name: base | {"adapter": f"models/{name}"} for name in ("one", "three")}
    written = yaml.safe_load(job.read_text())
    written |= {"sources": {"base": "models/base", **adapters}, "budget": {"candidates": 1}}
    written["evaluator"]["include_path"] = "tasks"
    results = evomerge.search(written)
    assert results.to_text()
    assert (tmp_path / "runs" / "adapters" / "study.json").exists()
    assert len(results.candidates) == 1


def test_a_search_of_a_checked_plan_builds_nothing_again(job: Path, tmp_path: Path) -> None:
    reads: Counter[str] = Counter()

    def read(folder: Path) -> Inventory:
        reads[folder.name] += 1
        return read_inventory(folder)

    written = yaml.safe_load(job.read_text())
    job.write_text(yaml.safe_dump(written | {"budget": {"candidates": 1}}))
    plan = Plan(read_job(job), str(job), Headers(read))
    check_job(plan)
    space, optimizer = plan.space, plan.optimizer
    api.search(plan, tmp_path / "study")
    assert (plan.space, plan.optimizer) == (space, optimizer)
    assert reads == {"base": 1}


class Interrupting(api.Listener):
    """Interrupts a study when its search is over, and hears what is done until then."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def doing(self, what: str) -> None:
        self.heard.append(what)

    def scored(self, scoring: Scoring) -> None:
        raise KeyboardInterrupt


def _short(job: Path) -> Path:
    """The job with one candidate."""
    written = yaml.safe_load(job.read_text())
    job.write_text(yaml.safe_dump(written | {"budget": {"candidates": 1}}))
    return job


def test_a_finished_study_is_read_and_nothing_else_is_done(job: Path, tmp_path: Path) -> None:
    """Not even its models need to be there; one that is not finished needs them."""
    first, again = Interrupting(), Interrupting()
    with pytest.raises(KeyboardInterrupt):
        evomerge.search(_short(job), tmp_path / "study", first)
    assert first.heard[:2] == ["checking the job", "starting a worker in this process"]
    comparison = evomerge.resume(tmp_path / "study").comparison
    shutil.rmtree(tmp_path / "models")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*")}
    assert evomerge.resume(tmp_path / "study", again).comparison == comparison
    assert again.heard == ["reading the record"]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*")}


def test_a_study_whose_source_changed_is_not_gone_on_with(job: Path, tmp_path: Path) -> None:
    written = yaml.safe_load(job.read_text())
    job.write_text(yaml.safe_dump(written | {"budget": {"candidates": 1}}))
    with pytest.raises(KeyboardInterrupt):
        evomerge.search(job, tmp_path / "study", Interrupting())
    path = tmp_path / "models" / "one" / "adapter_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(path).items()}, path)
    with pytest.raises(UserError) as caught:
        evomerge.resume(tmp_path / "study")
    assert "the weights of the source 'one' have changed since the study began" in str(caught.value)
    assert "\n" not in str(caught.value)


def spoiled(job: Path, folder: Path) -> None:
    """The job over copies of the models, whose configuration no engine can read."""
    path = folder / "models" / "base" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_attention_heads": 7}))


@pytest.mark.parametrize("was_there", [False, True])
def test_a_users_error_that_only_the_worker_finds_leaves_no_study(
    job: Path, tmp_path: Path, was_there: bool
) -> None:
    spoiled(job, tmp_path)
    written = yaml.safe_load(job.read_text()) | {"storage": f"sqlite:///{tmp_path}/studies.db"}
    job.write_text(yaml.safe_dump(written))
    out = tmp_path / "study"
    if was_there:
        out.mkdir()
    with pytest.raises(UserError, match="no readable configuration"):
        evomerge.search(job, out)
    assert out.exists() is was_there
    assert not was_there or list(out.iterdir()) == []
    with sqlite3.connect(tmp_path / "studies.db") as database:
        assert database.execute("SELECT count(*) FROM studies").fetchone() == (0,)
    database.close()


def test_a_program_reads_why_a_search_stopped(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tmp_path / "tasks" / "sums.yaml"
    task.write_text(task.read_text().replace("{{question}}", "{{question.at.all}}"))
    command = ["search", str(job), "--json", "--out", str(tmp_path / "study")]
    with pytest.raises(UserError, match="failed for one reason"):
        app(command, standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    assert printed["stopped"]["candidates"] == [0, 1, 2]
    assert printed["stopped"]["failure"]["error"] == "ConfigError"
    # What is refused says nothing of the study that is there.
    with pytest.raises(UserError, match="holds another study"):
        app(command, standalone_mode=False)
    assert capsys.readouterr().out == ""


def test_a_task_that_is_mended_is_gone_on_with_as_long_as_nothing_is_scored(
    job: Path, tmp_path: Path
) -> None:
    task = tmp_path / "tasks" / "sums.yaml"
    sound = task.read_text()
    task.write_text(sound.replace("{{question}}", "{{question.at.all}}"))
    with pytest.raises(UserError, match=r"candidates 0, 1, 2 failed for one reason.*UndefinedErr"):
        evomerge.search(job, tmp_path / "study")
    task.write_text(sound)
    evomerge.resume(tmp_path / "study")
    with Study.open(tmp_path / "study", write=False) as study:
        states = [one.state for one in study.candidates()]
        study_of_changed = study.get("evaluator")
    assert states == ["failed"] * 3 + ["done"] * 6
    assert read_job(job).evaluator.digest() == study_of_changed
