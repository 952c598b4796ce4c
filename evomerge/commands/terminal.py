"""A search as a person watches it: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from evomerge.cluster.base import Executor
from evomerge.commands.lines import Lines
from evomerge.commands.live import LiveView
from evomerge.commands.moment import Moment
from evomerge.commands.silence import Heartbeat, now
from evomerge.commands.tables import err, out, show_comparison
from evomerge.config import Job
from evomerge.errors import UserError
from evomerge.reading.files import is_there
from evomerge.searching.listener import Listener
from evomerge.searching.pace import Pace
from evomerge.searching.progress import Progress, Scoring
from evomerge.study.comparison import Comparison
from evomerge.study.fetching import as_typed
from evomerge.study.record import Study
from evomerge.wording import count

__all__ = ["Terminal", "is_live"]


class Terminal(Listener):
    """Hears of a search and shows it; to be used as a context, which ends what it shows."""

    def __init__(
        self,
        folder: Path,
        screen: Console = out,
        *,
        quiet: bool = False,
        result: bool = True,
        is_here: bool = True,
    ) -> None:
        """
        Args:
            folder: the study's.
            screen: where all but the result is shown.
            quiet: show nothing but the result.
            result: print the comparison at the end.
            is_here: it is this process that searches, and not another one.
        """
        self._folder, self._screen, self._quiet, self._result = folder, screen, quiet, result
        self._is_here = is_here
        self._executor: Executor | None = None
        self._doing, self._doing_since = "starting", now()
        self._progress: Progress | None = None
        self._scoring: Scoring | None = None
        self._told_at = now()
        self._pace = Pace()
        self._shown = ExitStack()
        self._view = LiveView(Moment())
        self._live: Live | None = None
        self._lines: Lines | None = None

    def __enter__(self) -> Self:
        if self._quiet:
            return self
        if is_live(self._screen):
            self._live = Live(get_renderable=self._drawn, console=self._screen)
            self._shown.enter_context(self._live)
        else:
            self._lines = Lines(self._screen, now())
            self._shown.enter_context(Heartbeat(self._beat))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        began = not isinstance(error, UserError) and is_there(self._folder / "study.json")
        if not self._is_here and isinstance(error, KeyboardInterrupt):
            place = as_typed(self._folder)
            err.print(f"The search goes on; evomerge watch {place} shows it again.", soft_wrap=True)
        elif self._is_here and error is not None and began:
            place = as_typed(self._folder)
            err.print(f"The record is in {place}; evomerge resume {place} goes on.", soft_wrap=True)

    def doing(self, what: str) -> None:
        """Show what is done from now on, until there are workers to be shown."""
        self._doing, self._doing_since = what, now()
        self._executor = None
        self._redraw()

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        """Print what runs and where, and show from now on what the workers do."""
        self.watch(executor)
        genes = count(len(study.genes), "gene")
        self._print(f"{job.name}: {genes}, seed {job.seed}, study in {as_typed(study.path)}")
        self._print(f"workers: {executor.where}")

    def watch(self, executor: Executor) -> None:
        """Show from now on what this executor's workers do."""
        self._executor = executor

    def progressed(self, progress: Progress) -> None:
        """Show where the search stands."""
        self._told_at, self._progress = now(), progress
        self._pace.hear(progress)
        self._update()

    def scored(self, scoring: Scoring) -> None:
        """Show how far the models of a split are scored."""
        self._scoring = scoring
        self._update()
        self._redraw()

    def said(self, message: str) -> None:
        """Print a line above what is shown."""
        self._print(message)

    def compared(self, comparison: Comparison) -> None:
        """Print the comparison of the winner with the baselines, and how to export it."""
        self._stop()
        if self._result:
            show_comparison(comparison)
            place = as_typed(self._folder)
            self._print(f"evomerge export {place} --out MODEL writes the winner as a model.")
        if self._is_here and not self._quiet:  # closing the workers may take a while
            self._lines = Lines(self._screen, now())
            self._shown.enter_context(Heartbeat(self._beat))

    def moment(self) -> Moment:
        """Everything that is shown now; also called from the thread that draws it."""
        progress, since_told_s = self._progress, now() - self._told_at
        executor = self._executor
        return Moment(
            doing=self._doing,
            doing_s=now() - self._doing_since,
            progress=progress,
            scoring=self._scoring,
            workers=executor.workers() if executor is not None else (),
            missing=executor.waiting_for() if executor is not None else None,
            seconds=progress.seconds + since_told_s if progress is not None else 0.0,
            left_s=None if self._scoring is not None else self._pace.left_s(since_told_s),
        )

    def _drawn(self) -> LiveView:
        return self._view.draw(self.moment())

    def _redraw(self) -> None:
        """Show at once what is new; otherwise a view is drawn four times a second."""
        if self._live is not None:
            self._live.refresh()

    def _beat(self) -> None:
        if self._lines is not None:
            self._lines.beat(self.moment(), now())

    def _update(self) -> None:
        if self._lines is not None:
            self._lines.update(self.moment(), now())

    def _print(self, line: str) -> None:
        if self._lines is not None:
            self._lines.say(line, now())
        elif not self._quiet:
            self._screen.print(line, markup=False)

    def _stop(self) -> None:
        """End what is shown; the last of a live view stays."""
        if self._live is not None:
            self._view.end()
        self._shown.close()
        self._live = None


def is_live(screen: Console) -> bool:
    """Whether a view may be drawn again and again: on a terminal that moves its cursor, and not in
    CI, whose log would keep every frame."""
    return screen.is_interactive and "CI" not in os.environ
