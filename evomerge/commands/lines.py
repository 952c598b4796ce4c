"""A search as plain lines: for logs, pipes and terminals that cannot move their cursor."""

from __future__ import annotations

from rich.console import Console

from evomerge.commands.moment import Moment, done_of, ended_otherwise, waited_for
from evomerge.commands.silence import Silence
from evomerge.commands.tables import fitness_of
from evomerge.searching.progress import Progress
from evomerge.wording import clock, count

__all__ = ["Lines"]


class Lines:
    """Prints what is new: a line where a candidate has ended, where one fails for a new reason,
    where a model was scored after the search; and after a silence what is waited for."""

    def __init__(self, screen: Console, now: float) -> None:
        """`now`: seconds on the clock that `update` is told."""
        self._screen = screen
        self._silence = Silence(now)
        self._said: set[str] = set()
        """Lines that are said once: reasons of failures, what workers wait for."""
        self._last = ""

    def say(self, line: str, now: float) -> None:
        """Print a line."""
        self._screen.print(line, soft_wrap=True, markup=False)
        self._silence.end(now)

    def update(self, at: Moment, now: float) -> None:
        """Print what is new at this moment."""
        progress = at.progress
        if progress is not None:
            for reason in progress.failures:
                self._once(f"failed: {reason}", now)
        if at.missing is not None:
            self._once(f"waiting: {at.missing}", now)
        else:
            self._said = {line for line in self._said if not line.startswith("waiting: ")}
        if at.scoring is not None:
            self._new(done_of(at), now)
        elif progress is not None and progress.draining:
            running = count(progress.running, "candidate")
            self._once(f"finishing {running} under way; Ctrl-C again leaves them", now)
        elif progress is not None and f"{progress.done}" != self._last:
            self._last = f"{progress.done}"
            self.say(_line(at, progress), now)

    def beat(self, at: Moment, now: float) -> None:
        """Say what is waited for, where nothing was said for long; called every second."""
        wait = waited_for(at)
        if self._silence.is_over(wait.kind, now):
            self.say(wait.text, now)

    def _once(self, line: str, now: float) -> None:
        if line not in self._said:
            self._said.add(line)
            self.say(line, now)

    def _new(self, line: str, now: float) -> None:
        if line != self._last:
            self._last = line
            self.say(line, now)


def _line(at: Moment, progress: Progress) -> str:
    """`12 of 25 candidates, best 0.5250 (#9), 1 failed, 4:10, about 3:20 left`."""
    best = "nothing scored yet"
    if progress.best is not None:
        fitness = fitness_of(progress.best, progress.objectives)
        best = f"best {fitness} (#{progress.best.number})"
    ends = [f"{progress.failed} failed"] if progress.failed else []
    ends += filter(None, [ended_otherwise(progress)])
    left = "" if at.left_s is None else f", about {clock(at.left_s)} left"
    return f"{', '.join([done_of(at), best, *ends, clock(at.seconds)])}{left}"
