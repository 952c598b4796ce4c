"""The simulated world: its clock, what goes wrong in it, and how far the search has come.

Whatever the search asks of its surroundings is a crossing, and crossings are counted from 1 over
all sittings. A driver is killed at one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from evomerge.simulation.plan import (
    EVALUATIONS,
    NODES,
    PROCESSES,
    STARTS,
    FaultKind,
    SimulatedFault,
)

__all__ = ["Broken", "DriverKilled", "World"]


STEPS = 20_000
"""More crossings than any search of a simulation needs."""

STILL_S = 250.0
"""For longer nothing is waited for: the sum of the limits for a place, a start and an evaluation,
and some more."""


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
        self.began_s = 0.0
        """When this sitting began."""
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
        self.looked: Callable[[], None] = lambda: None
        """Called when another driver comes while this one writes."""
        self.filled: Callable[[SimulatedFault], None] = lambda fault: None
        """Called when the disk fills."""
        self.is_dead = False
        """Whether the driver of this sitting was killed."""
        self._moved_s = 0.0
        faults = tuple(faults)
        self._kills = {fault.at: fault for fault in faults if fault.kind == "driver killed"}
        self._fillings = {fault.at: fault for fault in faults if fault.kind == "disk fills"}
        self._looks = {fault.at: fault for fault in faults if fault.kind == "another looks"}
        self._of_starts = [fault for fault in faults if fault.kind in STARTS]
        self._interruptions = [fault for fault in faults if fault.kind.startswith("interrupted")]
        self._of_evaluations = {fault.at: fault for fault in faults if fault.kind in EVALUATIONS}
        self._of_processes = {fault.at: fault for fault in faults if fault.kind in PROCESSES}
        self._of_nodes = sorted(
            (fault for fault in faults if fault.kind in NODES), key=lambda fault: fault.at
        )
        self._again = False

    def begin(self, pause_s: float) -> None:
        """A driver is started, so many seconds after the last one ended."""
        self.is_dead = self._again = False
        self.now_s += pause_s
        self.began_s = self._moved_s = self.now_s

    def clock(self) -> float:
        """The driver's clock, which begins anywhere with each driver."""
        return self.now_s - self.began_s + self.began_s * 7919 % 1000

    def cross(self, what: str, about: object = "") -> None:
        """Count a crossing.

        Raises:
            DriverKilled: the driver is killed here, or was before.
            Broken: the search does not end.
        """
        if self.is_dead:
            raise DriverKilled
        if self.steps >= STEPS:
            raise Broken(f"the search does not end: {STEPS} steps, and {self.now_s:.0f} s")
        self.steps += 1
        if what != "wait":
            self.moves += 1
            self._moved_s = self.now_s
        elif self.now_s - self._moved_s > STILL_S:
            raise Broken(f"the search waits for ever: nothing for {STILL_S:.0f} s")
        self.say(what, about)
        if fault := self._fillings.get(self.steps):
            self.note(fault)
            self.filled(fault)
        if self.steps + 1 in self._kills:
            self.before()
        if fault := self._looks.get(self.steps):
            self.note(fault)
            self.looked()
        if fault := self._kills.get(self.steps):
            self.note(fault)
            self.kill(fault)

    def kill(self, fault: SimulatedFault) -> None:
        """The driver is killed now.

        Raises:
            DriverKilled: always.
        """
        self.is_dead = True
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

    def next_start_fault(self) -> SimulatedFault | None:
        """What goes wrong with the start that begins now."""
        return self._of_starts.pop(0) if self._of_starts else None

    def of_evaluation(self, number: int) -> SimulatedFault | None:
        """What goes wrong with the evaluation that is begun as number so and so, over all."""
        return self._of_evaluations.get(number)

    def of_process(self, number: int) -> SimulatedFault | None:
        """What goes wrong with the process that is asked for as number so and so, over all."""
        return self._of_processes.get(number)

    def due_fault(self) -> SimulatedFault | None:
        """The next fault of the nodes, once its time has come."""
        if self._of_nodes and self._of_nodes[0].at <= self.now_s:
            return self._of_nodes.pop(0)
        return None

    def next_fault_s(self) -> float | None:
        """When that is."""
        return float(self._of_nodes[0].at) if self._of_nodes else None

    def note(self, fault: SimulatedFault) -> None:
        """A fault happens now."""
        self.happened[fault.kind] += 1
        self.say("FAULT", fault)

    def say(self, what: str, about: object = "") -> None:
        """Add to the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.steps:5} {self.now_s:9.2f} s  {what} {about}")
