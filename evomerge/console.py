"""What a person reads: the live table of a search, and tables of studies, reports and catalogs."""

from __future__ import annotations

import json
import sys
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
from evomerge.config import Job
from evomerge.errors import UserError
from evomerge.evaluators.base import Report
from evomerge.recipe.signature import Signature
from evomerge.run import Progress
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.study.statistics import mean_interval

__all__ = [
    "Terminal",
    "emit",
    "merging",
    "show_catalog",
    "show_operator",
    "show_report",
    "show_study",
    "study_as_data",
    "warn",
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Terminal(api.Listener):
    """A search as it goes: a live table on a terminal, a line per candidate elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._live: Live | None = None
        self._where = ""
        self._workers = 0
        self._shown = -1
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
        self._where, self._workers = executor.where, executor.slots
        out.print(f"{job.name}: {len(study.genes)} genes, seed {job.seed}, study in {study.path}")
        out.print(f"running on {self._where}")
        if out.is_terminal:
            self._live = Live(console=out, refresh_per_second=4, transient=False)
            self._live.start()

    def progressed(self, progress: Progress) -> None:
        if self._first is None:
            self._first = (progress.seconds, progress.done)
        if self._live is not None:
            self._live.update(self._table(progress))
        elif progress.done != self._shown:
            self._shown = progress.done
            out.print(self._line(progress))

    def said(self, message: str) -> None:
        self._stop()
        out.print(message)

    def compared(self, comparison: Comparison) -> None:
        self._stop()
        show_comparison(comparison)
        out.print(f"evomerge export {self._folder} --out MODEL writes the winner as a model.")

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, at: Progress) -> str:
        best = f"best {_fitness(at.best)} (#{at.best.number})" if at.best else "nothing scored yet"
        failed = f", {at.failed} failed" if at.failed else ""
        time = f"{_clock(at.seconds)}, {self._left(at)} left"
        return f"{at.done}/{at.total} candidates, {best}{failed}, {time}"

    def _left(self, at: Progress) -> str:
        """Time left at the pace of this sitting."""
        seconds, done = self._first or (at.seconds, at.done)
        if at.done <= done:
            return "?"
        return _clock((at.seconds - seconds) / (at.done - done) * (at.total - at.done))

    def _table(self, at: Progress) -> RenderableType:
        table = Table.grid(padding=(0, 3))
        table.add_column(style="bold")
        table.add_column()
        failed = f", {at.failed} failed" if at.failed else ""
        table.add_row("candidates", f"{at.done} of {at.total}{failed}")
        if at.best:
            table.add_row("best", f"{_fitness(at.best)}  (#{at.best.number}, {_origin(at.best)})")
        table.add_row("workers", f"{at.running} of {self._workers} busy")
        table.add_row("time", f"{_clock(at.seconds)}, about {self._left(at)} left")
        return Group(ProgressBar(total=max(at.total, 1), completed=at.done, width=60), table)


def warn(message: str) -> None:
    err.print(f"warning: {message}")


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
    columns = (TextColumn("merging into {task.description}"), BarColumn(), TaskProgressColumn())
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(str(folder), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_study(study: Study, top: int) -> None:
    """The best candidates with their genes, and the comparison where there is one."""
    candidates = study.candidates()
    failed = sum(one.state == "failed" for one in candidates)
    unfinished = sum(one.state == "running" for one in candidates)
    out.print(
        f"{study.name}: {len(candidates)} candidates, {failed} failed, {unfinished} unfinished,"
        f" {_clock(study.seconds_spent)}"
    )
    table = Table("#", "origin", "fitness", "tasks", "genes", title="best on the search split")
    for one in study.best(top):
        tasks = "\n".join(f"{name} {value:.3f}" for name, value in one.tasks.items())
        genes = "\n".join(f"{name} {_value(value)}" for name, value in one.values.items())
        table.add_row(str(one.number), _origin(one), _fitness(one), tasks, genes)
    out.print(table)
    if chosen := study.get("winner"):
        out.print(f"winner: {chosen['label']} ({chosen['fitness']:.3f} on the validation split)")
    if data := study.get("comparison"):
        show_comparison(Comparison.from_json(data))


def study_as_data(study: Study, top: int) -> dict[str, Any]:
    """What `show` says, for a program."""
    return {
        "name": study.name,
        "candidates": len(study.candidates()),
        "seconds": round(study.seconds_spent, 1),
        "best": [
            {
                "number": one.number,
                "origin": _origin(one),
                "fitness": one.fitness,
                "tasks": dict(one.tasks),
                "genes": dict(one.values),
                "recipe": one.recipe,
                "digest": one.digest,
            }
            for one in study.best(top)
        ],
        "winner": study.get("winner"),
        "comparison": study.get("comparison"),
    }


def show_comparison(comparison: Comparison) -> None:
    """The holdout table: models x tasks with intervals, and differences from the winner."""
    out.print(comparison.to_text(), soft_wrap=True)


def show_report(report: Report, title: str) -> None:
    """One model's scores with 95 % intervals."""
    table = Table("task", "metric", report.split, "95 % interval", "examples", title=title)
    for name, score in report.tasks.items():
        interval = mean_interval(score.examples)
        table.add_row(
            name,
            score.metric,
            f"{score.value:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
            str(len(score.examples)),
        )
    out.print(table)
    if report.truncated > 0:
        out.print(f"{report.truncated:.1%} of the answers were cut off by the token limit")


def show_catalog(kinds: Mapping[str, Mapping[str, str]]) -> None:
    """Entries by kind, each with its first line."""
    for kind, entries in kinds.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for name, description in entries.items():
            table.add_row(f"  {name}", description.strip().split("\n")[0])
        out.print(f"[bold]{kind}[/bold]")
        out.print(table)


def show_operator(signature: Signature, as_json: bool) -> None:
    """A merge method: what it does, what it takes, where it comes from."""
    data = {
        "name": signature.name,
        "summary": signature.summary,
        "citation": signature.citation,
        "family": signature.family,
        "base": signature.base,
        "options": signature.shared.model_json_schema().get("properties", {}),
        "per_input": signature.each.model_json_schema().get("properties", {}),
    }
    if as_json:
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return
    out.print(f"[bold]{signature.name}[/bold]: {signature.summary}")
    out.print(f"{signature.citation}; family {signature.family}, base: {signature.base}")
    for title, fields in (("options", signature.shared), ("per input", signature.each)):
        for name, field in fields.model_fields.items():
            default = "required" if field.is_required() else f"default {field.default}"
            out.print(f"  {title}: {field.alias or name} ({default})")


def _fitness(candidate: Candidate | None) -> str:
    if candidate is None or candidate.fitness is None:
        return "-"
    return " ".join(f"{value:.4f}" for value in candidate.fitness)


def _origin(candidate: Candidate) -> str:
    return candidate.label or candidate.origin


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
