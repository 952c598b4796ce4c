"""A simulated actor: one process that the real pool of workers asks for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from evomerge.cluster.actors import Location
from evomerge.cluster.base import Task
from evomerge.simulation.plan import SimulatedFault

__all__ = ["NodeGone", "ProcessGone", "Reference", "SimulatedActor"]


class ProcessGone(Exception):
    """What the surroundings say of a process that has died."""


class NodeGone(ProcessGone):
    """The same where its node has left."""


@dataclass(eq=False)
class Reference:
    """Of an answer that will be there, or will not."""

    value: Any = None
    problem: Exception | None = None
    is_there: bool = False


@dataclass(eq=False)
class SimulatedActor:
    """Implements `Actor`."""

    number: int
    """Over all sittings."""
    started: Callable[[SimulatedActor, Reference], None]
    """Hears that it is to come up, and of the call that waits for that."""
    begin: Callable[[SimulatedActor, Task, Reference], None]
    """Hears of a task that it is given, and of the call that waits for what comes of it."""
    killed: Callable[[SimulatedActor], None]
    """Hears that the pool ends it."""
    fault: SimulatedFault | None
    node: int | None = None
    """Where its place is; None while it has none."""
    placed_s: float | None = None
    """Since when its process runs."""
    is_up: bool = False
    is_gone: bool = False
    """Whether the process has ended."""
    is_killed: bool = False
    """Whether the pool has ended it."""
    is_believed_dead: bool = False
    """Whether the pool was told that it has died, or might as well have."""
    task: Task | None = None
    """What it performs."""
    began_s: float = 0.0
    _open: list[Reference] = field(default_factory=list)
    _ended_by: ProcessGone = field(default_factory=lambda: ProcessGone("the actor died"))

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return self.placed_s is not None and not self.is_gone

    @property
    def went_with_its_node(self) -> bool:
        """Whether its process has ended because its node left."""
        return self.is_gone and isinstance(self._ended_by, NodeGone)

    def where(self) -> Reference:
        """See `Actor`."""
        asked = self._asked()
        if self.lives:
            self.answer(asked, self._place)
        return asked

    def start(self) -> Reference:
        """See `Actor`."""
        asked = self._asked()
        self.started(self, asked)
        return asked

    def perform(self, task: Task) -> Reference:
        """See `Actor`."""
        asked = self._asked()
        self.begin(self, task, asked)
        return asked

    def kill(self) -> None:
        """See `Actor`."""
        self.killed(self)
        self.is_killed = True
        self.end()

    def place(self, now_s: float) -> None:
        """Its process runs from now on."""
        self.placed_s = now_s
        for asked in self._open:
            self.answer(asked, self._place)

    def answer(self, asked: Reference, value: Any = None, problem: Exception | None = None) -> None:
        """What came of a call; a process that has ended answers nothing more."""
        if not asked.is_there and (problem is not None or not self.is_gone):
            asked.value, asked.problem, asked.is_there = value, problem, True

    def end(self, *, with_its_node: bool = False) -> None:
        """The process ends, and whoever waits for it hears of that."""
        self.is_gone = self.is_believed_dead = True
        self._ended_by = (
            NodeGone("the actor's node died") if with_its_node else ProcessGone("the actor died")
        )
        for asked in self._open:
            self.answer(asked, problem=self._ended_by)

    @property
    def _place(self) -> Location:
        """Each process is on a node of its own, as far as names go: nodes come back."""
        return Location(f"node {self.node} pid {self.number}", (f"{self.node} of {self.number}",))

    def _asked(self) -> Reference:
        self._open = [asked for asked in self._open if not asked.is_there]
        self._open.append(asked := Reference())
        if self.is_gone:
            self.answer(asked, problem=self._ended_by)
        return asked
