"""What a pool of workers asks of its surroundings: processes, and what they answer.

Ray gives them (`ray.py`), and a simulation does (`evomerge.simulation`). Whatever a process is
asked is answered later, under a reference; how late, and whether at all, the pool has to see.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evomerge.cluster.base import Task

__all__ = ["Actor", "Actors", "Location", "Unreachable", "WorkerDied"]


class WorkerDied(Exception):
    """A worker's process has gone, or is no longer to be trusted: why."""

    def __init__(self, problem: Exception, *, with_its_node: bool = False) -> None:
        """`problem`: what was raised in the worker, or by its surroundings about it.
        `with_its_node`: its node is lost or was preempted, so nothing in the process is at fault.
        """
        lines = str(problem).strip().splitlines() or [""]
        super().__init__(f"{type(problem).__name__}: {lines[-1]}")
        self.problem = problem
        self.with_its_node = with_its_node


class Unreachable(Exception):
    """What is raised about a process that may live, and cannot be reached."""


@dataclass(frozen=True)
class Location:
    """Where a process is."""

    worker: str
    """Host and process, for a person."""
    nodes: tuple[str, ...]
    """The node's name in `Actors.gone`, then those of others that its GPUs are on."""


class Actor(Protocol):
    """A process that was asked for. It does one thing after the other, in the order of calls, and
    begins once it has a place; each call returns the reference of its answer."""

    def where(self) -> Any:
        """Its `Location`."""

    def start(self) -> Any:
        """Make the worker, once its place was taken; the answer means nothing."""

    def perform(self, task: Task) -> Any:
        """What the worker says of the task: its outcome."""

    def kill(self) -> None:
        """End it, whatever it does; it need not live any more."""


class Actors(Protocol):
    """Whoever gives processes."""

    @property
    def where(self) -> str:
        """For a person: what follows the number of workers; "" where nothing is to be said."""

    @property
    def total(self) -> Mapping[str, float]:
        """Resource -> how much there is, as far as is known."""

    @property
    def free(self) -> Mapping[str, float]:
        """Resource -> how much of it nobody has."""

    @property
    def gone(self) -> Collection[str]:
        """Nodes that were lost, as far as is known by now."""

    @property
    def leaving(self) -> Collection[str]:
        """Nodes that are about to leave: what is begun there may not end."""

    def now_s(self) -> float:
        """A clock that never goes back; only differences mean something."""

    def make(self, worker: str, kind: int) -> Actor:
        """Ask for a process of the worker that has this id; it gets a place when there is one.
        `kind`: of which of the workers' kinds it is, by its number (`RayConfig.kinds`)."""

    def answered(self, references: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those of the references whose answers are there; waits for the first at most so long."""

    def take(self, reference: Any) -> Any:
        """The answer.

        Raises:
            WorkerDied: there is none, since the process died or a fault came of the call.
        """

    def check(self) -> None:
        """
        Raises:
            InfrastructureError: the surroundings themselves are gone.
        """

    def close(self) -> None:
        """End what was begun for these processes."""
