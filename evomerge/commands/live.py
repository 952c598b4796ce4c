"""The live view: a search at one moment, fitted to the width and the height of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from evomerge.cluster.base import WorkerStatus
from evomerge.commands.leaders import leaders_table
from evomerge.commands.moment import (
    Moment,
    done_of,
    ended_otherwise,
    share_of,
    task_label,
    waited_for,
)
from evomerge.commands.names import cut
from evomerge.commands.sparkline import sparkline
from evomerge.commands.tables import objective_value, origin_of
from evomerge.searching.progress import Progress, Scoring
from evomerge.wording import clock, count

__all__ = ["LiveView"]

LABEL = 9
"""Characters of the labels on the left, with the gap after them."""
LONGEST_CURVE = 60
WIDE = 100
"""From this width on the workers' hosts and processes are shown."""
LONGEST_REASON = 160
FAILURES = 2
"""So many reasons of failures are shown."""
OTHER_LINES = 16
"""Lines that are not workers', at most."""


class LiveView:
    """Moments of a search, one after the other, as something that rich draws."""

    def __init__(self, moment: Moment) -> None:
        """`moment`: the first to be drawn."""
        self._at, self._last = moment, False
        self._spinners = Spinner("dots"), Spinner("line")
        """The second for terminals that know ASCII only."""

    def draw(self, moment: Moment) -> LiveView:
        """The same view of another moment: its spinner goes on."""
        self._at = moment
        return self

    def end(self) -> None:
        """Draw from now on what is to stay when nothing is waited for any more."""
        self._last = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        at, ascii_only = self._at, options.ascii_only
        width, height = options.max_width, options.size.height
        if at.progress is None:
            if not self._last:
                yield self._waiting(at, ascii_only)
            return
        share = share_of(at)
        if share is not None:
            yield _bar(share, done_of(at), width)
        rows = Table.grid(padding=0)
        rows.add_column(width=LABEL, style="bold", no_wrap=True)
        rows.add_column(overflow="fold")
        for label, row in self._rows(at.progress, width - LABEL, ascii_only):
            rows.add_row(label, row)
        yield rows
        if at.progress.leaders:
            yield Text()
            mark = "~" if ascii_only else "…"
            yield leaders_table(at.progress.leaders, at.progress.objectives, width, mark)
        if not self._last:
            yield Text()
            yield from _workers(at, width, max(2, height - OTHER_LINES))
            if not any(worker.task for worker in at.workers) or at.missing is not None:
                yield self._waiting(at, ascii_only)

    def _rows(
        self, progress: Progress, room: int, ascii_only: bool
    ) -> Iterator[tuple[str, RenderableType]]:
        at = self._at
        if share_of(at) is None:
            yield "done", done_of(at)
        if progress.bests:
            yield "best", Group(*_bests(progress))
        if len(progress.curve) > 1:
            yield "so far", _curve(progress, min(room, LONGEST_CURVE), ascii_only)
        for reason, number in list(progress.failures.items())[:FAILURES]:
            line = cut(reason.partition("\n")[0], LONGEST_REASON, "~" if ascii_only else "…")
            yield "failed", Text(f"{count(number, 'time')}: {line}")
        if ends := ended_otherwise(progress):
            yield "others", ends
        if progress.spent:
            yield "scored", progress.spent
        left = "" if at.left_s is None or self._last else f", about {clock(at.left_s)} left"
        yield "time", f"{clock(at.seconds)}{left}"
        if progress.draining:
            candidates = count(progress.running, "candidate")
            yield "stopping", f"{candidates} under way; Ctrl-C again leaves them"

    def _waiting(self, at: Moment, ascii_only: bool) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(overflow="fold")
        grid.add_row(self._spinners[ascii_only], Text(waited_for(at).text))
        return grid


def _bar(share: float, done: str, width: int) -> RenderableType:
    """The bar over the whole width, but for what is done in words at its end."""
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    bar = ProgressBar(
        total=1.0,
        completed=share,
        width=max(10, width - len(done) - 2),
        complete_style="green",
        finished_style="green",
    )
    grid.add_row(bar, done)
    return grid


def _bests(progress: Progress) -> Iterator[Text]:
    """A line for each objective: its best value, and whose it is."""
    several = len(progress.objectives) > 1
    for place, (name, best) in enumerate(zip(progress.objectives, progress.bests, strict=False)):
        value = objective_value(best, place, progress.objectives)
        named = f"{name} " if several else ""
        yield Text(f"{named}{value}  #{best.number}, {origin_of(best)}")


def _curve(progress: Progress, width: int, ascii_only: bool) -> Text:
    first, last = progress.curve[0], progress.curve[-1]
    ends = f"{first:.4f} ", f" {last:.4f}"
    bars = sparkline(progress.curve, width - len("".join(ends)), ascii_only=ascii_only)
    return Text.assemble((ends[0], "dim"), (bars, "green"), (ends[1], "dim"))


def _workers(at: Moment, width: int, most: int) -> Iterator[RenderableType]:
    """What each worker does; of many the first, and the states of the others."""
    workers = at.workers
    if all(worker.state == "starting" for worker in workers):
        return  # what is waited for says it
    shown = workers if len(workers) <= most else workers[: most - 1]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    for worker in shown:
        where = worker.where or "" if width >= WIDE else ""
        does = Text(_does(worker, at.scoring))
        table.add_row(f"worker {worker.id}", does, clock(worker.seconds), Text(where))
    yield table
    if rest := workers[len(shown) :]:
        yield Text(f"and {count(len(rest), 'more worker')}: {_states(rest)}")


def _does(worker: WorkerStatus, scoring: Scoring | None) -> str:
    again = f", started again {count(worker.restarts, 'time')}" if worker.restarts else ""
    match worker.state:
        case "starting" if worker.where is None:
            return f"waits for a place{again}"
        case "starting":
            return f"loads the model{again}"
        case "lost":
            return f"lost; another process takes its place{again}"
        case "draining" if worker.task is None:
            return "has ended"
        case "idle":
            return f"idle{again}"
    verb = "evaluates" if scoring is None else "scores"
    return f"{verb} {task_label(worker, scoring)}{again}"


def _states(workers: Sequence[WorkerStatus]) -> str:
    """How many are in which state: `2 busy, 1 starting`."""
    states = dict.fromkeys(worker.state for worker in workers)
    numbers = {state: sum(worker.state == state for worker in workers) for state in states}
    return ", ".join(f"{number} {state}" for state, number in numbers.items())
