"""`evomerge watch`: a search that runs elsewhere, as a person sees it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import evomerge
from evomerge.cluster.jobs import FOLDER, STUDY
from evomerge.commands import tables
from evomerge.commands.submitted_view import show_submitted
from evomerge.commands.terminal import Terminal
from tests.place import run
from tests.service.local_jobs import LocalJobs
from tests.small_job import SmallJob


def test_a_finished_study_is_shown_to_its_end(small_job: SmallJob, tmp_path: Path) -> None:
    evomerge.search(small_job.write(budget={"candidates": 3}), tmp_path / "study")
    ended = run(tmp_path, "watch", "study")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "small: 2 genes, study in study"
    assert lines[-1] == "evomerge export study --out MODEL writes the winner as a model."
    assert "holdout" in ended.stdout


def test_who_leaves_does_not_stop_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.json").touch()
    with pytest.raises(KeyboardInterrupt), Terminal(tmp_path, tables.out, is_here=False):
        raise KeyboardInterrupt
    assert "The search goes on; evomerge watch " in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("live", [False, True])
def test_a_submitted_search_elsewhere_shows_what_its_driver_prints(
    live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    metadata = {STUDY: "small", FOLDER: "/not/here"}
    jobs = LocalJobs(tmp_path, ray="2.60.0")
    says = "seq 1 400; printf 'the search is over'"  # in two pieces
    jobs.submit("small-1", says, files=None, environment={}, metadata=metadata)
    written = io.StringIO()
    screen = Console(file=written, width=100, force_terminal=live, color_system=None)
    show_submitted(jobs, jobs.jobs["small-1"], screen)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())
    lines = [line.strip() for line in re.split(r"[\r\n]+", text.strip())]
    assert [line for line in lines if line.isdecimal()] == [str(n) for n in range(1, 401)]
    assert lines.index("400") < lines.index("the search is over")
    assert lines[-1] == "small-1: succeeded; evomerge fetch small-1 brings its study here"
    assert ("small-1 succeeded: ended with 0" in text) == live
