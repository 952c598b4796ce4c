"""A submitted search whose study lies on machines that this one does not see: what its driver
prints, and below it, on a terminal, where the search stands."""

from __future__ import annotations

from contextlib import nullcontext

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from evomerge.cluster.jobs import Jobs, SubmittedJob
from evomerge.commands.silence import Heartbeat
from evomerge.commands.tables import err, out
from evomerge.commands.terminal import is_live
from evomerge.errors import EvomergeError

__all__ = ["show_submitted"]

ASK_EVERY = 2
"""Ray is asked how the job is doing at every second beat, which is every second second."""


class _Status:
    """What a job says of itself, asked for now and then from a thread of its own."""

    def __init__(self, jobs: Jobs, job: SubmittedJob) -> None:
        self._jobs, self._job = jobs, job
        self._beats = 0
        self._spinner = Spinner("dots")

    def beat(self) -> None:
        self._beats += 1
        if self._beats % ASK_EVERY == 0:
            try:
                self._job = self._jobs.get(self._job.id) or self._job
            except EvomergeError:  # who follows what is printed hears of it
                return

    def line(self) -> Spinner:
        job = self._job
        self._spinner.update(text=Text(f"{job.id} {job.state.lower()}: {job.says}"))
        return self._spinner


def show_submitted(jobs: Jobs, job: SubmittedJob, screen: Console = out) -> None:
    """Print what the driver printed and prints, until the job is over.

    Raises:
        UserError: the cluster cannot be reached any more.
    """
    status = _Status(jobs, job)
    live = is_live(screen)
    view = Live(get_renderable=status.line, console=screen, transient=True) if live else None
    try:
        with view or nullcontext(), Heartbeat(status.beat):
            rest = ""
            for piece in jobs.follow(job.id):  # it comes in pieces, cut anywhere
                *lines, rest = (rest + piece).split("\n")
                for line in lines:
                    screen.print(line, soft_wrap=True, markup=False)
    except KeyboardInterrupt:
        err.print(f"The search goes on; evomerge watch {job.id} shows it again.")
        raise
    if rest:
        screen.print(rest, soft_wrap=True, markup=False)
    ended = jobs.get(job.id) or job
    state = ended.state.lower()
    screen.print(f"{ended.id}: {state}; evomerge fetch {ended.id} brings its study here")
