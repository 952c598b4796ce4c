"""What a person sees while a search runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evomerge.cluster.local import InProcess
from evomerge.commands import console
from evomerge.searching.progress import Progress


def progress(done: int, seconds: float, **more: Any) -> Progress:
    known: dict[str, Any] = {"total": 10, "limit_s": None, "failed": 0, "running": 2, "best": None}
    known |= {"evaluations": None, "evaluated": done} | more
    return Progress(done=done, seconds=seconds, **known)


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ([progress(0, 0)], "0/10 candidates, nothing scored yet, 0:00, ? left"),
        # Two candidates took 20 s; eight are left.
        ([progress(0, 0), progress(2, 20)], "2/10 candidates, nothing scored yet, 0:20, 1:20 left"),
        # A study that is resumed at 100 s: the pace is that of this sitting.
        (
            [progress(5, 100), progress(6, 110)],
            "6/10 candidates, nothing scored yet, 1:50, 0:40 left",
        ),
        (
            [progress(3, 60, total=None, limit_s=100)],
            "3 candidates, nothing scored yet, 1:00, 0:40 left",
        ),
        # Evaluations where they are counted: what was scored before took no time.
        (
            [
                progress(0, 0, total=None, evaluations=10),
                progress(50, 20, total=None, evaluations=10, evaluated=4),
            ],
            "4/10 evaluated, 50 candidates, nothing scored yet, 0:20, 0:30 left",
        ),
        # A schedule gave one up, and lets two wait.
        (
            [progress(3, 20, stopped=1, paused=2)],
            "3/10 candidates, nothing scored yet, 1 stopped, 2 paused, 0:20, ? left",
        ),
        # Ctrl-C was pressed.
        (
            [progress(3, 20), progress(3, 20, draining=True)],
            "finishing 2 under way; Ctrl-C again leaves them",
        ),
        # Whichever ends first.
        (
            [progress(0, 0, limit_s=50), progress(2, 20, limit_s=50, failed=1)],
            "2/10 candidates, nothing scored yet, 1 failed, 0:20, 0:30 left",
        ),
    ],
)
def test_plain_lines_where_there_is_no_terminal(
    steps: list[Progress], last: str, tmp_path: Path
) -> None:
    written = io.StringIO()
    screen = Console(file=written, force_terminal=False, width=80, highlight=False)
    with console.Terminal(tmp_path, screen) as terminal:
        for step in steps:
            terminal.progressed(step)
            terminal.progressed(step)  # nothing new, so nothing is printed
    lines = written.getvalue().splitlines()
    assert len(lines) == len(steps)
    assert lines[-1] == last


@pytest.mark.parametrize(
    ("budget", "done"),
    [({}, "candidates   2 of 10"), ({"total": None, "limit_s": 100.0}, "candidates   2 ")],
)
def test_a_table_that_stays_in_place_on_a_terminal(
    budget: dict[str, float | None], done: str, tmp_path: Path
) -> None:
    drawn = io.StringIO()
    table = console.Terminal(tmp_path).table(progress(2, 20, **budget))
    Console(file=drawn, width=80).print(table)
    assert done in drawn.getvalue()
    assert "0:20" in drawn.getvalue()


class Short(InProcess):
    """An executor that misses workers."""

    missing: str | None = "2 of 4 workers wait for 1 GPU each; the cluster has 0 GPU"

    def waiting_for(self) -> str | None:
        return self.missing


@pytest.fixture
def short() -> Short:
    return Short(lambda: pytest.fail("nothing is evaluated here"))


def test_what_workers_wait_for_is_said_once_until_it_is_over(tmp_path: Path, short: Short) -> None:
    written = io.StringIO()
    terminal = console.Terminal(tmp_path, Console(file=written, width=80))
    terminal.watch(short)
    for missing in (short.missing, short.missing, None, short.missing):
        short.missing = missing
        terminal.progressed(progress(0, 0))
    said = [line for line in written.getvalue().splitlines() if "waiting" in line]
    assert said == [f"waiting: {short.missing}"] * 2


def test_the_table_counts_workers_by_state(tmp_path: Path, short: Short) -> None:
    terminal = console.Terminal(tmp_path)
    terminal.watch(short)
    drawn = io.StringIO()
    Console(file=drawn, width=120).print(terminal.table(progress(2, 20)))
    assert "1 starting" in drawn.getvalue()
    assert "2 of 4 workers wait for 1 GPU each" in drawn.getvalue()


def test_what_was_interrupted_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt), console.Terminal(tmp_path):
        raise KeyboardInterrupt
    assert "evomerge resume" in capsys.readouterr().err
