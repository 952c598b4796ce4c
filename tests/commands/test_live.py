"""The live view at the widths of real terminals: nothing is cut, wrapped or glued together."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from evomerge.commands.live import LiveView
from evomerge.commands.moment import Moment
from evomerge.searching.progress import Scoring
from tests.commands.moments import candidate, progress, worker
from tests.screen import drawn, glued

WIDTHS = (60, 80, 140)
SEARCHING = Moment(
    progress=progress(failed=3, failures={"weights are not finite": 3}, stopped=1, paused=2),
    workers=[worker("0", task="12"), worker("1", "starting", where=None, seconds=20, restarts=1)],
    seconds=250,
    left_s=200,
)


def lines(at: Moment, width: int, height: int = 40, *, last: bool = False) -> list[str]:
    """What is drawn of a moment, as a terminal shows it."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=width, height=height)
    view = LiveView(Moment())
    if last:
        view.end()
    console.print(view.draw(at))
    shown = drawn(written.getvalue(), width)
    assert all(len(line) <= width for line in shown), "a line is too wide"
    assert not any(map(glued, shown)), "two columns touch"
    return shown


@pytest.mark.parametrize("width", WIDTHS)
def test_a_search_under_way(width: int) -> None:
    shown = lines(SEARCHING, width)
    bar, *rest = shown
    assert bar.startswith("━━━━━━━━━━")
    assert bar.endswith("  12 of 25 candidates")
    assert len(bar) == width, "the bar is fitted to the width"
    said = dict(line.split(maxsplit=1) for line in rest)
    assert said["best"] == "0.5250  #9, optimizer"
    assert said["so"] == "far   0.0000 ▁▁▂▅▆█ 0.5250"
    assert said["failed"] == "3 times: weights are not finite"
    assert said["others"] == "1 stopped, 2 paused"
    assert said["time"] == "4:10, about 3:20 left"
    assert said["#9"].split()[-5:] == ["0.5250", "0.525", "0.900", "0.250", "0.125"]
    header = next(line for line in shown if "fitness" in line).split()
    assert header[-5:] == ["fitness", "json_math", "json", "math", "spell"]
    assert "…" not in "".join(shown)
    assert any(line.startswith("worker 0  evaluates #12 ") for line in shown)
    restarted = next(line for line in shown if line.startswith("worker 1"))
    assert "waits for a place, started again 1 time" in restarted
    assert "0:20" in restarted


def test_hosts_and_origins_where_there_is_room() -> None:
    assert "10.0.0.1 pid 1212" in "\n".join(lines(SEARCHING, 140))
    assert "10.0.0.1" not in "\n".join(lines(SEARCHING, 80))
    assert "parent:mathematics" in "\n".join(lines(SEARCHING, 80))
    assert "origin" not in "\n".join(lines(SEARCHING, 60))


@pytest.mark.parametrize("width", WIDTHS)
def test_several_objectives_by_name_each_with_its_best(width: int) -> None:
    both = (candidate(9, 0.525, -30.0), candidate(4, 0.5, -28.0))
    at = replace(
        SEARCHING,
        progress=progress(objectives=("fitness", "layers"), leaders=both, bests=both),
    )
    shown = lines(at, width)
    said = "\n".join(" ".join(line.split()) for line in shown)
    assert "best fitness 0.5250 #9, optimizer\nlayers 28 #4, optimizer\n" in said
    assert "fitness layers json" in said
    assert " 0.5250 30 " in said


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_waited_for_before_a_worker_is_up(width: int) -> None:
    (line,) = lines(Moment(doing="starting Ray here", doing_s=7), width)
    assert line.endswith(" starting Ray here (0:07)")
    two = [worker("0", "starting"), worker("1", "starting")]
    at = Moment(progress=progress(0, best=None, leaders=(), bests=(), curve=()), workers=two)
    shown = lines(at, width)
    assert shown[-1].endswith(" starting 2 workers: loading the model (0:14)")
    assert shown[0].endswith("0 of 25 candidates")
    assert not any(line.startswith("worker") for line in shown)


def test_what_workers_miss_is_wrapped_and_not_cut() -> None:
    missing = "2 of 4 workers wait for 1 GPU each; the cluster has 0 GPU, and nobody adds one"
    shown = lines(replace(SEARCHING, missing=missing), 60)
    said = " ".join(" ".join(shown).split())
    assert missing in said


@pytest.mark.parametrize("width", WIDTHS)
def test_models_that_are_scored_when_the_search_is_over(width: int) -> None:
    models = {"ab": "uniform merge", "cd": "evolved"}
    scoring = Scoring(split="holdout", done=3, total=5, models=models)
    at = replace(SEARCHING, scoring=scoring, workers=[worker("0", task="ab")])
    shown = lines(at, width)
    assert shown[0].endswith("  holdout: 3 of 5 models")
    assert any(line.startswith("worker 0  scores uniform merge") for line in shown)
    # What stays on the screen in the end says nothing of workers.
    last = lines(at, width, last=True)
    assert not any("worker" in line for line in last)
    assert "left" not in "\n".join(last)


def test_of_many_workers_the_first_are_shown_and_the_states_of_the_others() -> None:
    many = [worker(str(i), "busy", str(i)) if i % 2 else worker(str(i), "idle") for i in range(27)]
    shown = lines(replace(SEARCHING, workers=many), 80, height=24)
    assert len(shown) < 24
    assert sum(line.startswith("worker") for line in shown) == 7
    assert "and 20 more workers: 10 busy, 10 idle" in shown


def test_a_budget_of_seconds_fills_the_bar_between_two_candidates() -> None:
    at = Moment(progress=progress(total=None, limit_s=100.0), seconds=50)
    bar = lines(at, 80)[0]
    assert bar.count("━") == pytest.approx(len(bar) - len("  12 candidates"), abs=2)
    assert bar.endswith("  12 candidates")
    without = lines(Moment(progress=progress(total=None), seconds=50), 80)
    assert without[0] == "done     12 candidates"


def test_an_interrupted_search_says_what_is_still_waited_for() -> None:
    at = replace(SEARCHING, progress=progress(draining=True, running=1))
    assert "stopping 1 candidate under way; Ctrl-C again leaves them" in lines(at, 80)


def test_a_terminal_that_knows_ascii_only() -> None:
    written = io.BytesIO()
    with io.TextIOWrapper(written, encoding="ascii", write_through=True) as file:
        console = Console(file=file, force_terminal=True, width=80, height=40)
        console.print(LiveView(Moment()).draw(SEARCHING))
        console.print(LiveView(Moment()).draw(Moment(doing="starting Ray here")))
        shown = drawn(written.getvalue().decode("ascii"), 80)
    assert any("0.0000 __.=+# 0.5250" in line for line in shown)
    assert shown[-1].endswith("starting Ray here (0:00)")
