"""What a command says: its result on stdout, and on stderr what a person reads beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

from evomerge.commands.silence import Heartbeat, Silence, now
from evomerge.commands.tables import err, out
from evomerge.commands.terminal import is_live
from evomerge.wording import clock

__all__ = ["Output"]


@dataclass(frozen=True)
class Output:
    """Where the words of a command go."""

    quiet: bool = False
    """Nothing but the result."""
    as_json: bool = False
    """The result is JSON."""

    def warn(self, message: str) -> None:
        """Print a warning on stderr."""
        self.note(f"warning: {message}")

    def note(self, line: str) -> None:
        """Print on stderr what is not the result."""
        if not self.quiet:
            err.print(line, soft_wrap=True, markup=False)

    def result(self, data: Mapping[str, Any], show: Callable[[], None]) -> None:
        """Print the result: `data` as JSON where a program reads, else whatever `show` prints."""
        if self.as_json:
            self.print_json(data)
        else:
            show()

    def line(self, data: Mapping[str, Any], line: str) -> None:
        """Print the result: `data` as JSON, else a line."""
        self.result(data, lambda: out.print(line, soft_wrap=True, markup=False))

    def print_json(self, data: Any) -> None:
        """Print data for a program; nothing folds or colours it."""
        out.file.write(json.dumps(data, indent=2) + "\n")

    def facts(self, data: Mapping[str, Any], shown: Mapping[str, Any] | None = None) -> None:
        """Print the result: plain data as JSON, else a line of `key  value` for each, and one for
        each part of a list. `shown`: what a person reads, where that is less."""
        self.result(data, lambda: _show_facts(data if shown is None else shown))

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what is waited for while it lasts."""
        with self.counting(what):
            yield

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """The same for something that tells how much of it is done: (done, in all)."""
        if self.quiet:
            yield lambda done, total: None
        elif is_live(err):
            with _bar() as bar:
                task = bar.add_task(what, total=None)
                yield lambda done, total: bar.update(task, completed=done, total=total)
        else:
            said = _Said(what)
            with Heartbeat(said.beat):
                yield said.hear


def _bar() -> Bar:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    return Bar(
        *columns,
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )


class _Said:
    """Lines about something that takes a while."""

    def __init__(self, what: str) -> None:
        self._what, self._began, self._done = what, now(), ""
        self._silence = Silence(self._began)

    def hear(self, done: int, total: int) -> None:
        """Keep how much is done for the next line."""
        self._done = f"{done} of {total}, "

    def beat(self) -> None:
        """Print a line, if none was printed for long."""
        if self._silence.is_over(self._what, now()):
            line = f"{self._what}: {self._done}{clock(now() - self._began)}"
            err.print(line, soft_wrap=True, markup=False)


def _show_facts(data: Mapping[str, Any]) -> None:
    width = max(map(len, data))
    for key, value in data.items():
        title = key.replace("_", " ")
        for line in value if isinstance(value, list) else [value]:
            shown = "yes" if line is True else f"{line:,}" if isinstance(line, int) else line
            out.print(f"{title:<{width}}  {shown}", soft_wrap=True, markup=False)
            title = ""
