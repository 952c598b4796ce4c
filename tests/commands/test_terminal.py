"""A search as a person watches it, from its first moment to its last."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evomerge.cluster.local import InProcess
from evomerge.commands.moment import waited_for
from evomerge.commands.terminal import Terminal, is_live
from evomerge.errors import UserError
from evomerge.evaluators.base import Report, TaskScore
from evomerge.searching.listener import Listener
from evomerge.searching.progress import Scoring
from evomerge.study.comparison import Comparison
from tests.commands.moments import progress
from tests.merging.loadable import Loadable
from tests.place import Place
from tests.screen import drawn, frames_of, glued
from tests.sphere import Sphere, Worker, search


class Short(InProcess):
    """An executor that misses workers."""

    missing: str | None = "2 of 4 workers wait for 1 GPU each; the cluster has 0 GPU"

    def waiting_for(self) -> str | None:
        return self.missing


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def watched(folder: Path, **console: Any) -> str:
    """What is written while a small search is watched, and then two models are scored."""
    written = io.StringIO()
    screen = Console(file=written, width=60, height=40, **console)
    executor = InProcess(partial(Worker, Sphere()))
    with Terminal(folder, screen) as terminal:
        terminal.doing("checking the job")
        terminal.watch(executor)
        terminal.said("warning: the holdout is small")
        search(folder, candidates=8, executor=executor, tell=terminal.progressed).close()
        for done in range(3):
            terminal.scored(Scoring(split="holdout", done=done, total=2, models={}))
    return written.getvalue()


def test_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    lines = watched(tmp_path / "s").splitlines()
    assert "\x1b" not in "".join(lines)
    assert lines[0] == "warning: the holdout is small"
    assert lines[1].startswith("0 of 8 candidates, nothing scored yet, 0:0")
    assert "failed: too heavy" in lines
    assert lines[-4].startswith("8 of 8 candidates, best ")
    assert lines[-3:] == [f"holdout: {done} of 2 models" for done in range(3)]


@pytest.mark.parametrize("variable", [("CI", "true"), ("TERM", "dumb")])
def test_lines_in_ci_and_on_a_terminal_that_cannot_move_its_cursor(
    variable: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*variable)
    written = watched(tmp_path / "s", force_terminal=True, color_system=None)
    assert "0 of 8 candidates, nothing scored yet" in written
    assert "━" not in written


def test_a_view_that_stays_in_place_on_a_terminal(tmp_path: Path) -> None:
    shown = drawn(watched(tmp_path / "s", force_terminal=True), 60)
    assert shown[0] == "warning: the holdout is small"
    assert shown[1].endswith("  holdout: 2 of 2 models")
    assert sum("models" in line for line in shown) == 1, "it is drawn in one place"
    assert any(line.startswith("best ") for line in shown)
    assert not any(line.startswith("worker") for line in shown), "nothing works any more"


def test_no_colours_where_none_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    written = watched(tmp_path / "s", force_terminal=True)
    assert "\x1b[3" not in written
    assert "━" in written


def test_quiet_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = io.StringIO()
    screen = Console(file=written, force_terminal=True)
    with Terminal(tmp_path, screen, quiet=True) as terminal:
        terminal.doing("checking the job")
        terminal.said("warning: the holdout is small")
        terminal.progressed(progress())
        terminal.scored(Scoring(split="holdout", done=1, total=2, models={}))
    assert written.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_time_left_is_at_the_pace_of_this_sitting(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, Console(file=io.StringIO()), quiet=True)

    def left_s(done: int, seconds: float, **more: Any) -> float | None:
        terminal.progressed(progress(done, seconds=seconds, **({"total": 10} | more)))
        return terminal.moment().left_s

    # A study that is resumed at 100 s.
    assert left_s(5, 100) is None
    assert left_s(6, 110) == pytest.approx(40, abs=5)
    assert left_s(6, 110, limit_s=120.0) == pytest.approx(10, abs=5)
    # Evaluations where they are counted: what was scored before took no time.
    evaluations = {"total": None, "evaluations": 10, "evaluated": 7}
    assert left_s(50, 140, **evaluations) == pytest.approx(60, abs=5)
    terminal.scored(Scoring(split="holdout", done=0, total=2, models={}))
    assert terminal.moment().left_s is None


def test_what_workers_do_and_miss_is_asked_when_it_is_shown(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, Console(file=io.StringIO()), quiet=True)
    assert terminal.moment().workers == ()
    short = Short(lambda: pytest.fail("nothing is evaluated here"))
    terminal.watch(short)
    (worker,) = terminal.moment().workers
    assert worker.state == "starting"
    assert terminal.moment().missing == short.missing
    short.missing = None
    assert terminal.moment().missing is None


def test_what_was_interrupted_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    screen = Console(file=io.StringIO())
    with pytest.raises(UserError), Terminal(tmp_path, screen):
        raise UserError("no such file")
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(UserError), Terminal(tmp_path, screen):
        raise UserError("the folder holds another study")
    assert capsys.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt), Terminal(tmp_path, screen):
        raise KeyboardInterrupt
    assert f"evomerge resume {tmp_path} goes on." in capsys.readouterr().err, "in one line"


def test_it_hears_everything(tmp_path: Path) -> None:
    """What a listener may hear and the terminal does not show would be silence."""
    heard = {name for name in vars(Listener) if not name.startswith("_")}
    # `progressed` brings what `told` says, and the rest is of who stops a search.
    assert heard - set(vars(Terminal)) == {"stop", "stopped", "told"}


@pytest.mark.parametrize("live", [True, False])
def test_after_the_result_it_is_said_what_is_waited_for(tmp_path: Path, live: bool) -> None:
    def beats() -> bool:
        return any(thread.name == "evomerge-heartbeat" for thread in threading.enumerate())

    score = TaskScore(metric="acc", value=1.0, examples=(1.0,))
    report = Report(split="holdout", tasks={"sums": score})
    screen = Console(file=io.StringIO(), force_terminal=live)
    with Terminal(tmp_path, screen, result=False) as terminal:
        terminal.watch(InProcess(partial(Worker, Sphere())))
        terminal.progressed(progress())
        terminal.doing("writing notes")
        assert waited_for(terminal.moment()).text.startswith("writing notes (0:0")
        terminal.compared(Comparison.of({"evolved": report, "one": report}, winner="evolved"))
        terminal.doing("closing the workers")
        assert waited_for(terminal.moment()).text.startswith("closing the workers (0:0")
        assert beats()
    assert not beats()


def test_where_a_view_may_be_drawn() -> None:
    assert not is_live(Console(file=io.StringIO()))
    assert is_live(Console(file=io.StringIO(), force_terminal=True))


def job_of_adapters(folder: Path) -> Place:
    """A job that runs in this process on a model of a few thousand weights."""
    place = Place(folder)
    Loadable(folder / "loadable")
    base = {"model": "loadable/base"}
    adapters = {name: base | {"adapter": f"loadable/{name}"} for name in ("one", "three")}
    place.job["sources"] = {"base": base, **adapters}
    place.job["space"] = {"kind": "parameter", "base": "base", "method": "task_arithmetic"}
    place.job["space"]["genes"] = ["weight"]
    place.job["engine"] = {"kind": "transformers"}
    place.write()
    return place


def test_a_program_reads_stdout_and_a_person_stderr(tmp_path: Path) -> None:
    """A search, then its result again at once: as JSON, quietly, and as lines."""
    place = job_of_adapters(tmp_path / "here")
    ended = place.run("search", "job.yaml", "--out", "runs/tiny", "--json")
    assert ended.returncode == 0, ended.stderr
    data = json.loads(ended.stdout)
    assert data["candidates"] == 4
    assert data["comparison"]["winner"] == "evolved"
    lines = ended.stderr.splitlines()
    assert "tiny: 2 genes, seed 0, study in runs/tiny" in lines
    assert any(line.startswith("4 of 4 candidates, best 0.0000 (#0)") for line in lines)
    assert any(line.startswith("holdout: 0 of ") for line in lines)
    again = place.run("resume", "runs/tiny", "--json")
    assert json.loads(again.stdout) == data
    assert again.stderr == ""
    quiet = place.run("resume", "runs/tiny", "--quiet")
    assert quiet.stderr == ""
    assert quiet.stdout.startswith("sums, 1 holdout example")
    assert "evomerge export" not in quiet.stdout
    shown = place.run("resume", "runs/tiny")
    assert shown.stdout.startswith(quiet.stdout.rstrip())
    assert "evomerge export runs/tiny --out MODEL writes the winner as a model." in shown.stdout
    assert "evomerge resume runs/tiny" in place.refuses("search", "job.yaml", "--out", "runs/tiny")


@pytest.mark.process
@pytest.mark.slow
def test_a_real_search_in_a_real_terminal(tmp_path: Path) -> None:
    place = job_of_adapters(tmp_path / "here")
    program = "from evomerge.commands.main import main; main()"
    command = (sys.executable, "-c", program, "search", "job.yaml", "--out", "runs/tiny")
    said = set()
    for frame in frames_of(command, 60, place.folder):
        assert not any(map(glued, frame)), frame
        assert max(map(len, frame), default=0) <= 60, frame
        said |= {line.strip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ").partition(" (")[0] for line in frame}
    assert "tiny: 2 genes, seed 0, study in runs/tiny" in said
    # What is done in less than a tenth of a second (checking the job) may be over when it is drawn.
    assert "starting 1 worker: loading the model" in said
    assert any(line.endswith(" of 4 candidates") for line in said)
    assert any(re.search(r"━  holdout: 1 of \d+ models$", line) for line in said), said
    assert any(line.startswith("evolved ") for line in said)
