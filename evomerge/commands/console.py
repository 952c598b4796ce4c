"""What a person sees while something runs: the live table of a search, bars, warnings."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.progress_bar import ProgressBar
from rich.table import Table

from evomerge import api
from evomerge.cluster.base import Executor
from evomerge.commands.tables import clock, fitness_of, origin_of, out, show_comparison
from evomerge.config import Job
from evomerge.errors import UserError
from evomerge.searching.progress import Progress, Scoring
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study

__all__ = [
    "Terminal",
    "counting",
    "emit",
    "merging",
    "remark",
    "warn",
]

err = Console(stderr=True, highlight=False)


class Terminal(api.Listener):
    """A search as it goes: a live table on a terminal, a line per candidate elsewhere."""

    def __init__(self, folder: Path, screen: Console = out) -> None:
        """`folder`: the study's; `screen`: where all but the comparison is printed."""
        self._folder, self._out = folder, screen
        self._live: Live | None = None
        self._executor: Executor | None = None
        self._waits = False
        """Whether it has been said what workers wait for; said again only after it was over."""
        self._shown = -1
        self._draining = False
        self._left_to_score: tuple[str, int] = ("", 0)
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        began = not isinstance(error, UserError) and (self._folder / "study.json").exists()
        if error is not None and began:
            err.print(f"The record is in {self._folder}; evomerge resume {self._folder} goes on.")

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        """Print what runs and where; on a terminal, start the live table."""
        self.watch(executor)
        self._out.print(
            f"{job.name}: {len(study.genes)} genes, seed {job.seed}, study in {study.path}"
        )
        self._out.print(f"running on {executor.where}", soft_wrap=True)
        if self._out.is_terminal:
            self._live = Live(console=self._out, refresh_per_second=4, transient=False)
            self._live.start()

    def watch(self, executor: Executor) -> None:
        """Show from now on what this executor's workers do."""
        self._executor = executor

    def progressed(self, progress: Progress) -> None:
        """Update the live table, or print a line where a candidate has ended."""
        if self._first is None:
            self._first = (progress.seconds, _work(progress)[0])
        self._say_what_is_missing()
        if self._live is not None:
            self._live.update(self.table(progress))
        elif progress.draining and not self._draining:
            self._draining = True
            self._out.print(f"finishing {progress.running} under way; Ctrl-C again leaves them")
        elif progress.done != self._shown:
            self._shown = progress.done
            self._out.print(self._line(progress))

    def scored(self, scoring: Scoring) -> None:
        """Print how many models of a split are left, where that has changed."""
        self._stop()
        left = scoring.total - scoring.done
        if left and (scoring.split, left) != self._left_to_score:
            self._out.print(f"{scoring.split}: {scoring.total} models, {left} to go")
        self._left_to_score = (scoring.split, left)

    def said(self, message: str) -> None:
        """Print a message below the table, which ends."""
        self._stop()
        self._out.print(message)

    def compared(self, comparison: Comparison) -> None:
        """Print the comparison of the winner with the baselines, and how to export it."""
        self._stop()
        show_comparison(comparison)
        hint = f"evomerge export {self._folder} --out MODEL writes the winner as a model."
        self._out.print(hint, soft_wrap=True)

    def _say_what_is_missing(self) -> None:
        missing = self._executor.waiting_for() if self._executor is not None else None
        if missing is not None and not self._waits and self._live is None:
            self._out.print(f"waiting: {missing}", soft_wrap=True)
        self._waits = missing is not None

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, at: Progress) -> str:
        best = (
            f"best {fitness_of(at.best)} (#{at.best.number})" if at.best else "nothing scored yet"
        )
        failed = _counts(at)
        time = f"{clock(at.seconds)}, {self._left(at)} left"
        done = f"{at.done}/{at.total}" if at.total else f"{at.done}"
        if at.evaluations is not None:
            done = f"{at.evaluated}/{at.evaluations} evaluated, {done}"
        return f"{done} candidates, {best}{failed}, {time}"

    def _left(self, at: Progress) -> str:
        """Time left at the pace of this sitting, or until the budget of seconds ends."""
        done, total = _work(at)
        seconds, before = self._first or (at.seconds, done)
        ends = [max(at.limit_s - at.seconds, 0.0)] if at.limit_s is not None else []
        if total is not None and done > before:
            ends.append((at.seconds - seconds) / (done - before) * (total - done))
        return clock(min(ends)) if ends else "?"

    def table(self, at: Progress) -> RenderableType:
        """What the live table shows of a search that stands there."""
        table = Table.grid(padding=(0, 3))
        table.add_column(style="bold")
        table.add_column()
        failed = _counts(at)
        of = f" of {at.total}" if at.total is not None else ""
        table.add_row("candidates", f"{at.done}{of}{failed}")
        if at.evaluations is not None:
            table.add_row("evaluated", f"{at.evaluated} of {at.evaluations}")
        if at.best:
            table.add_row(
                "best", f"{fitness_of(at.best)}  (#{at.best.number}, {origin_of(at.best)})"
            )
        if self._executor is not None:
            table.add_row("workers", _workers(self._executor))
            if missing := self._executor.waiting_for():
                table.add_row("waiting", missing)
        if at.draining:
            table.add_row("stopping", f"{at.running} under way; Ctrl-C again leaves them")
        table.add_row("time", f"{clock(at.seconds)}, about {self._left(at)} left")
        shares = [at.done / at.total] if at.total else []
        shares += [at.evaluated / at.evaluations] if at.evaluations else []
        shares += [at.seconds / at.limit_s] if at.limit_s else []
        return Group(ProgressBar(total=1.0, completed=max(shares), width=60), table)


def _workers(executor: Executor) -> str:
    """How many workers are in which state: `2 busy, 1 starting`."""
    counts = Counter(worker.state for worker in executor.workers())
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _counts(at: Progress) -> str:
    """How many candidates came to another end than a fitness, or wait."""
    counts = {"failed": at.failed, "stopped": at.stopped, "paused": at.paused}
    return "".join(f", {count} {state}" for state, count in counts.items() if count)


def _work(at: Progress) -> tuple[int, int | None]:
    """What the pace is of: (done, in all); evaluations where the budget counts them."""
    if at.evaluations is not None:
        return at.evaluated, at.evaluations
    return at.done, at.total


def warn(message: str) -> None:
    """Print a warning on stderr."""
    err.print(f"warning: {message}", soft_wrap=True)


def remark(message: str) -> None:
    """Print on stderr what is worth knowing and no warning."""
    err.print(message, soft_wrap=True)


def emit(data: Mapping[str, Any], as_json: bool) -> None:
    """Plain data as JSON or as lines of `key  value`."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return
    width = max(map(len, data))
    for key, value in data.items():
        shown = "yes" if value is True else f"{value:,}" if isinstance(value, int) else value
        out.print(f"{key.replace('_', ' '):<{width}}  {shown}")


@contextmanager
def merging(folder: Path) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the tensors of a merge."""
    with counting(f"merging into {folder}") as progress:
        yield progress


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over something that hears how much of it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
