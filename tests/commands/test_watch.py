"""`evomerge watch`: a search that runs elsewhere, as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

import evomerge
from evomerge.commands import tables
from evomerge.commands.terminal import Terminal
from tests.place import run
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
