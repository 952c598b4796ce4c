"""The simulated world: its clock, what goes wrong in it, and how far the search has come.

Whatever the search asks of its surroundings is a crossing, and crossings are counted from 1 over
all sittings. A driver is killed at one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from evomerge.simulation.plan import FaultKind, SimulatedFault

__all__ = ["Broken", "DriverKilled", "World"]


STEPS = 5_000
"""More crossings than any search of a simulation needs."""


class Broken(AssertionError):
    """A law of the search was broken."""


class DriverKilled(BaseException):
    """The driver is gone, as far as the search can tell; nothing may catch it."""


class World:
    """Everything around the search, beginning with the time."""

    def __init__(self, faults: Iterable[SimulatedFault], *, keep_trace: bool = False) -> None:
        """`keep_trace`: whether `trace` is written; it takes half of the time of a search."""
        self.now_s = 0.0
        """Seconds since the beginning of the first sitting."""
        self.steps = 0
        """Crossings so far."""
        self.moves = 0
        """Those of them that are more than waiting."""
        self.happened: Counter[FaultKind] = Counter()
        self.trace: list[str] | None = [] if keep_trace else None
        self.before: Callable[[], None] = lambda: None
        """Called at the crossing before a kill."""
        self.killed: Callable[[SimulatedFault], None] = lambda fault: None
        """Called at a kill, before anything else runs."""
        self.filled: Callable[[SimulatedFault], None] = lambda fault: None
        """Called when the disk fills."""
        self._dead = False
        faults = tuple(faults)
        self._kills = {fault.at: fault for fault in faults if fault.kind == "driver killed"}
        self._fillings = {fault.at: fault for fault in faults if fault.kind == "disk fills"}
        self._interruptions = [fault for fault in faults if fault.kind.startswith("interrupted")]
        self._of_workers = {
            fault.at: fault
            for fault in faults
            if fault.kind in ("worker dies", "worker hangs", "late answer", "answer twice")
        }
        self._nodes = [fault for fault in faults if fault.kind == "node leaves"]
        self._again = False

    def begin(self) -> None:
        """A driver is started."""
        self._dead = self._again = False

    def cross(self, what: str, about: object = "") -> None:
        """Count a crossing.

        Raises:
            DriverKilled: the driver is killed here, or was before.
            Broken: the search does not end.
        """
        if self._dead:
            raise DriverKilled
        if self.steps >= STEPS:
            raise Broken(f"the search does not end: {STEPS} steps, and {self.now_s:.0f} s")
        self.steps += 1
        self.moves += what != "wait"
        self.say(what, about)
        if fault := self._fillings.get(self.steps):
            self.note(fault)
            self.filled(fault)
        if self.steps + 1 in self._kills:
            self.before()
        if fault := self._kills.get(self.steps):
            self._dead = True
            self.note(fault)
            self.killed(fault)
            raise DriverKilled

    def interrupt(self) -> None:
        """What a wait does first.

        Raises:
            KeyboardInterrupt: the user wants the search to end.
        """
        if self._again:
            self._again = False
            raise KeyboardInterrupt
        if self._interruptions and self._interruptions[0].at <= self.steps:
            fault = self._interruptions.pop(0)
            self._again = fault.kind == "interrupted twice"
            self.note(fault)
            raise KeyboardInterrupt

    def of_evaluation(self, number: int) -> SimulatedFault | None:
        """What goes wrong with the evaluation that is begun as number so and so, over all."""
        return self._of_workers.get(number)

    def leaving(self) -> SimulatedFault | None:
        """The next node to leave, once its time has come."""
        if self._nodes and self._nodes[0].at <= self.now_s:
            return self._nodes.pop(0)
        return None

    def next_leaving_s(self) -> float | None:
        """When the next node leaves."""
        return float(self._nodes[0].at) if self._nodes else None

    def note(self, fault: SimulatedFault) -> None:
        """A fault happens now."""
        self.happened[fault.kind] += 1
        self.say("FAULT", fault)

    def say(self, what: str, about: object = "") -> None:
        """Add to the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.steps:5} {self.now_s:9.2f} s  {what} {about}")
