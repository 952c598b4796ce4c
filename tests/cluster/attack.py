"""A search that is disturbed: its driver begun, watched, and begun again; what each fault cost."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Literal

from tests.cluster.disturbed import Row
from tests.cluster.laws import Notes, broken_laws, half_written, settles
from tests.cluster.machines import Machine

__all__ = ["GOES_ON_S", "Attack", "Fault", "Struck"]

GOES_ON_S = 300.0
"""A search that has not told a candidate for so long does not go on."""
MENDED_S = 60.0
"""Nodes that ended are started again after so long, where nothing goes on without them."""
SAYS_SO_S = 120.0
"""A driver whose Ray has died has to end by then, on however busy a machine."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and what has to come of it."""

    name: str
    do: Callable[[Attack], None]
    mend: Callable[[Attack], None]
    """What a person does then; where the driver has ended, before the search is resumed."""
    then: Literal["goes on", "says so", "dies"] = "goes on"
    """Whether the driver goes on; or ends and says that `resume` goes on; or is killed."""
    weight: int = 6
    """How likely it is drawn, beside others."""


@dataclass(frozen=True)
class Struck:
    """What a fault did."""

    fault: str
    seconds: float
    """Until a candidate was on record after it; where the driver ended, until it had."""
    again: int
    """How many evaluations were begun again for it, and for others at the same time."""
    problems: Sequence[str]


@dataclass
class Attack:
    """One search in a folder, its driver on a machine that may change."""

    folder: Path
    """For notes and logs."""
    place: Path
    """Of the study's folder."""
    machine: Machine
    """Where the driver runs, or the next one will."""
    draws: random.Random
    environment: Mapping[str, str]
    arguments: Sequence[str]
    """Of `tests.cluster.disturbed`."""
    one_in: int
    """How rare bad recipes are."""
    problems: list[str] = field(default_factory=list)
    """What was wrong, and has not been told yet."""
    driver: Popen[bytes] | None = None

    def begin(self) -> None:
        """Begin a driver, or the next one."""
        command = [sys.executable, "-m", "tests.cluster.disturbed", str(self.place)]
        command += [str(self.folder / "notes"), "--one-in", str(self.one_in), *self.arguments]
        self.driver = self.machine.begin(
            command, environment=self.environment, output=self.folder / "driver.log"
        )

    @property
    def notes(self) -> Notes:
        """What has been noted by now."""
        return Notes.read(self.folder / "notes")

    @property
    def pid(self) -> int:
        """The driver's process."""
        assert self.driver is not None
        return self.driver.pid

    @property
    def code(self) -> int | None:
        """The driver's exit code; None while it runs."""
        assert self.driver is not None
        return self.driver.poll()

    @property
    def said(self) -> str:
        """The last lines of what the drivers said."""
        return " / ".join((self.folder / "driver.log").read_text().splitlines()[-3:])

    def wait(self) -> None:
        """Let the search go on for a moment, a random one; at first, until it has come to work."""
        if not self.notes.told:
            self._see_progress()
        time.sleep(self.draws.uniform(0, 1))

    def strike(self, fault: Fault, *others: Fault) -> list[Struck]:
        """Do it, and see what comes of it; `others` at the same time, where all go on."""
        before, began = self.notes.again, time.monotonic()
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda one: one.do(self), (fault, *others)))
        if fault.then == "goes on":
            self._see_progress((fault, *others))
            seconds = time.monotonic() - began
            for one in (fault, *others):
                one.mend(self)
            if self.code:  # which is a problem, and told; the search has to go on all the same
                self.begin()
        else:
            self._see_end(fault)
            seconds = time.monotonic() - began
            fault.mend(self)
            self.begin()
            self._see_progress()
        self._look()
        problems, self.problems = self.problems, []
        struck = [Struck(fault.name, seconds, self.notes.again - before, problems)]
        return struck + [Struck(other.name, seconds, 0, []) for other in others]

    def finish(self, expected: Sequence[Row] | None) -> list[str]:
        """Let the search come to its end, undisturbed: what is wrong then.

        `expected`: its rows, where they are no matter of chance.
        """
        if not settles(lambda: self.code is not None, GOES_ON_S):
            self.problems.append(f"the search does not end: {self.said}")
            self.machine.kill()
        elif self.code:
            self.problems.append(f"the driver ended with {self.code}: {self.said}")
        self._look(expected)
        self.problems += half_written(self.place)
        return self.problems

    def _see_progress(self, struck: Sequence[Fault] = ()) -> None:
        """Wait until one more candidate is on record, or the search is over.

        What struck is mended after a while even so: there may be no worker's node left.
        """
        before = self.notes.told.total()

        def goes_on() -> bool:
            return self.notes.told.total() > before or self.code is not None

        if not settles(goes_on, MENDED_S):
            for one in struck:
                one.mend(self)
        if not settles(goes_on, GOES_ON_S):
            self.problems.append(f"nothing came in {GOES_ON_S:g} s: {self.said}")
        elif self.code:
            self.problems.append(f"the driver ended with {self.code}: {self.said}")

    def _see_end(self, fault: Fault) -> None:
        """Wait until the driver has ended, and see how."""
        if not settles(lambda: self.code is not None, SAYS_SO_S):
            self.problems.append(f"the driver stays, {SAYS_SO_S:g} s and more: {self.said}")
            self.machine.kill()
        elif fault.then == "says so" and not (self.code == 1 and "evomerge resume" in self.said):
            self.problems.append(f"the driver ended with {self.code}: {self.said}")

    def _look(self, expected: Sequence[Row] | None = None) -> None:
        """Hold the laws against the record as it is now."""
        if (self.place / "study.json").exists():
            self.problems += broken_laws(self.place, self.notes, self.one_in, expected)
