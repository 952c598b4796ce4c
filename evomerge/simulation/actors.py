"""Simulated actors: the processes that the real pool of workers asks for, and laws about them.

They get a place at once, late or never, come up or do not, and die, hang or leave with their node
at any moment. One that is believed dead may go on working until it is ended.

- There are never more processes than the job allows.
- No task runs in two living processes.
- What works or starts in time is not ended; what does not is, soon after its deadline.
- A search without any place says so at its deadline, not before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from evomerge.cluster.actors import WorkerDied
from evomerge.cluster.base import Task, overrun
from evomerge.cluster.config import RayConfig
from evomerge.errors import ConfigError
from evomerge.simulation.actor import NodeGone, ProcessGone, Reference, SimulatedActor
from evomerge.simulation.events import Events
from evomerge.simulation.plan import SimulatedFault
from evomerge.simulation.scenario import Scenario
from evomerge.simulation.scores import simulated_outcome
from evomerge.simulation.world import Broken, World

__all__ = ["SimulatedActors"]

SLACK_S = 1.0
"""So late may a pool see that a deadline has passed."""
LOOKS = 10_000
"""So often nobody looks at the clock without letting time pass."""


class SimulatedActors:
    """Implements `Actors`: a cluster of nodes, on which each actor takes one place."""

    def __init__(
        self,
        scenario: Scenario,
        config: RayConfig,
        world: World,
        evaluations: Iterator[int],
        processes: Iterator[int],
    ) -> None:
        """`evaluations` and `processes` number what is begun and asked for, over all sittings."""
        self._scenario, self._config, self._world = scenario, config, world
        self._evaluations, self._processes = evaluations, processes
        self._rng = random.Random(f"actors {scenario.seed}")
        self._events = Events(world)
        self._nodes = set(range(scenario.nodes))
        self._actors: list[SimulatedActor] = []
        self._placed_s = world.now_s
        """When an actor had a place the last time."""
        self._looks = (world.now_s, 0)
        self.begun: dict[str, int] = {}
        """Task -> how often it was begun."""
        self.lost: Counter[str] = Counter()
        """Task -> how often its process has gone with its node."""
        self.failed_starts = 0
        self.refusals = 0
        """How many starts did not find what the user wants."""
        self.is_closed = self.is_draining = False

    @property
    def where(self) -> str:
        """For a person."""
        return " in a simulation"

    @property
    def total(self) -> Mapping[str, float]:
        """A place takes one CPU."""
        return {"CPU": float(len(self._nodes) * self._scenario.workers_per_node)}

    @property
    def free(self) -> Mapping[str, float]:
        """Places that nobody has."""
        taken = sum(actor.node is not None and not actor.is_gone for actor in self._actors)
        return {"CPU": self.total["CPU"] - taken}

    @property
    def without_place_s(self) -> float:
        """For how long no actor has had a place."""
        return self._world.now_s - self._placed_s

    def now_s(self) -> float:
        """See `Actors`.

        Raises:
            Broken: it is looked at for ever, and nobody waits.
        """
        at_s, looks = self._looks
        self._looks = (self._world.now_s, looks + 1 if at_s == self._world.now_s else 0)
        if looks > LOOKS:
            raise Broken("the pool turns in a circle, and no time passes")
        return self._world.now_s

    @property
    def gone(self) -> tuple[str, ...]:
        """Whoever is on a node that leaves is told so."""
        return ()

    @property
    def leaving(self) -> tuple[str, ...]:
        """Nodes leave without notice."""
        return ()

    def make(self, worker: str, kind: int) -> SimulatedActor:
        """See `Actors`."""
        number = next(self._processes)
        self._world.cross("process", number)
        actor = SimulatedActor(
            number, self.start, self.begin, self.killed, fault := self._world.of_process(number)
        )
        if fault is not None and fault.kind in ("no place", "late place"):
            self._world.note(fault)
        self._actors = [other for other in self._actors if not other.is_killed]
        self._actors.append(actor)
        if len(self._actors) > self._scenario.workers:
            raise Broken(f"{len(self._actors)} processes of at most {self._scenario.workers}")
        self._give_places()
        return actor

    def answered(self, references: Sequence[Reference], timeout_s: float) -> list[Reference]:
        """See `Actors`."""
        end = self._world.now_s + timeout_s
        while not any(asked.is_there for asked in references) and self._events.next_s() <= end:
            self._events.advance()
            self._let_nodes_change()
        if not any(asked.is_there for asked in references):
            self._world.now_s = max(self._world.now_s, end)
        self._check()
        ready = [asked for asked in references if asked.is_there]
        self._rng.shuffle(ready)
        return ready

    def take(self, reference: Reference) -> Any:
        """See `Actors`."""
        if reference.problem is not None:
            lost = isinstance(reference.problem, NodeGone)
            raise WorkerDied(reference.problem, with_its_node=lost)
        return reference.value

    def check(self) -> None:
        """See `Actors`."""

    def close(self) -> None:
        """See `Actors`."""
        self.is_closed = True

    @property
    def left(self) -> list[int]:
        """The processes that the pool has not ended."""
        return [actor.number for actor in self._actors if not actor.is_killed]

    def runs(self, id_: str) -> bool:
        """Whether a process that the pool has not ended is at this task."""
        return any(actor.lives and actor.task and actor.task.id == id_ for actor in self._actors)

    def killed(self, actor: SimulatedActor) -> None:
        """The pool ends an actor.

        Raises:
            Broken: there was no reason to.
        """
        if self.is_closed or actor.is_believed_dead or not actor.lives:
            return
        seconds = self._world.now_s - actor.began_s
        if actor.task is not None and seconds < _deadline_s(actor.task, self._config):
            raise Broken(f"process {actor.number} worked in time, and was ended")
        is_late = self._world.now_s - (actor.placed_s or 0.0) >= self._config.start_timeout_s
        self.failed_starts += not actor.is_up and is_late
        if not actor.is_up and not is_late and not self.is_draining:
            raise Broken(f"process {actor.number} was starting in time, and was ended")

    def begin(self, actor: SimulatedActor, task: Task, asked: Reference) -> None:
        """An actor is given a task.

        Raises:
            Broken: it is not up, or is at another task, or another process is at this one.
        """
        self._world.cross("perform", f"{task.id} by {actor.number}")
        if self.runs(task.id):
            raise Broken(f"task {task.id} runs in two processes")
        self.begun[task.id] = self.begun.get(task.id, 0) + 1
        if actor.is_gone:
            self.lost[task.id] += actor.went_with_its_node
            return  # nobody knows yet
        if not actor.is_up or actor.task is not None:
            raise Broken(f"process {actor.number} is given task {task.id}, and is not idle")
        actor.task, actor.began_s = task, self._world.now_s
        takes_s = self._rng.choice((0.3, 1.0, 1.0, 2.5, 7.0))
        outcome = simulated_outcome(task)
        fault = self._world.of_evaluation(next(self._evaluations))
        if fault is not None:
            self._world.note(fault)
        match fault.kind if fault else None, fault.share if fault else 0.0:
            case "worker dies", share if share < 0.3:
                problem = RuntimeError("out of memory")
                self._events.after(takes_s * share, lambda: self._raise(actor, asked, problem))
                return
            case "worker dies", share:
                self._events.after(takes_s * share, lambda: self._end(actor))
                return
            case "worker hangs", _:
                return
            case "late answer", share:
                takes_s = 1.2 * (task.deadline_s or 0.0) * share
            case "answer twice", share:
                gone = ProcessGone("the connection to the actor broke")
                self._events.after(takes_s * share, lambda: self._raise(actor, asked, gone))
        if takes_s > (task.deadline_s or takes_s) and takes_s % 1 < 0.5:  # it looks at the clock
            takes_s, outcome = task.deadline_s or 0.0, overrun(task.deadline_s or 0.0)
        self._events.after(takes_s, lambda: self._finish(actor, asked, outcome))

    def _raise(self, actor: SimulatedActor, asked: Reference, problem: Exception) -> None:
        """The pool hears of a fault; the process goes on."""
        if not actor.is_gone:
            actor.is_believed_dead = True
            actor.answer(asked, problem=problem)

    def _finish(self, actor: SimulatedActor, asked: Reference, outcome: Any) -> None:
        if not actor.is_gone:
            actor.task = None
            actor.answer(asked, outcome)

    def _end(self, actor: SimulatedActor, *, with_its_node: bool = False) -> None:
        """A process ends of itself, and its place is free."""
        if not actor.is_gone:
            self._world.say("process ends", actor.number)
            self.failed_starts += not actor.is_up and not with_its_node
            if with_its_node and actor.task is not None and not actor.is_believed_dead:
                self.lost[actor.task.id] += 1
            actor.end(with_its_node=with_its_node)
        self._give_places()

    def _give_places(self) -> None:
        for actor in self._actors:
            node, fault = self._free_node(), actor.fault
            if node is None or actor.node is not None or actor.is_gone:
                continue
            takes_s = 0.5
            if fault is not None and fault.kind == "no place":
                continue
            if fault is not None and fault.kind == "late place":
                takes_s = 80 * fault.share
            actor.node = node
            self._events.after(takes_s, partial(self._place, actor, node))

    def _free_node(self) -> int | None:
        for node in sorted(self._nodes):
            taken = sum(actor.node == node and not actor.is_gone for actor in self._actors)
            if taken < self._scenario.workers_per_node:
                return node
        return None

    def _place(self, actor: SimulatedActor, node: int) -> None:
        if actor.is_gone or actor.node != node or actor.placed_s is not None:
            return
        self._world.say("place", f"{actor.number} on node {node}")
        actor.place(self._world.now_s)

    def start(self, actor: SimulatedActor, starting: Reference) -> None:
        """An actor is to come up.

        Raises:
            Broken: it has no place yet.
        """
        if actor.is_gone:
            return
        if not actor.lives:
            raise Broken(f"process {actor.number} is started before it has a place")
        takes_s, fault = self._rng.choice((1.0, 2.0, 4.0)), actor.fault
        match fault.kind if fault else None, fault.share if fault else 0.0:
            case "dies starting", share:
                self._events.after(takes_s * share, lambda: self._end(actor))
            case "hangs starting", _:
                takes_s = float("inf")
            case "cannot start", share:
                self._events.after(takes_s * share, lambda: self._refuse(actor, starting))
        if fault is not None and fault.kind in ("dies starting", "hangs starting", "cannot start"):
            self._world.note(fault)
        self._events.after(takes_s, lambda: self._up(actor, starting))

    def _refuse(self, actor: SimulatedActor, starting: Reference) -> None:
        if not actor.is_gone:
            self.refusals += 1
            actor.is_believed_dead = True
            actor.answer(starting, problem=ConfigError("the engine is not installed"))

    def _up(self, actor: SimulatedActor, starting: Reference) -> None:
        if not starting.is_there:
            actor.is_up = True
            actor.answer(starting)

    def _let_nodes_change(self) -> None:
        while fault := self._world.due_fault():
            match fault.kind:
                case "node leaves":
                    self._leave(fault)
                case "node joins":
                    self._world.note(fault)
                    self._nodes.add(max((*self._nodes, self._scenario.nodes)) + 1)
                case "preempted":
                    there = [actor for actor in self._actors if actor.lives]
                    if there:
                        self._world.note(fault)
                        self._end(there[int(fault.share * len(there))])
        self._give_places()

    def _leave(self, fault: SimulatedFault) -> None:
        """A node goes, with all that runs there, and comes back later."""
        if not self._nodes:
            return
        self._world.note(fault)
        node = sorted(self._nodes)[int(fault.share * len(self._nodes))]
        self._nodes.discard(node)
        for actor in self._actors:
            if actor.node == node and actor.placed_s is None:
                actor.node = None  # it waits for another place
            elif actor.node == node:
                self._end(actor, with_its_node=True)

        def join() -> None:
            self._nodes.add(node)
            self._give_places()

        self._events.after(100 * fault.share, join)

    def _check(self) -> None:
        """Raises: Broken: something takes longer than it may."""
        now_s, config = self._world.now_s, self._config
        if any(actor.lives and not actor.is_killed for actor in self._actors) or self.is_closed:
            self._placed_s = now_s
        place_s = config.placement_timeout_s
        if place_s is not None and self.without_place_s > place_s + SLACK_S:
            raise Broken(f"no place for {self.without_place_s:.0f} s, and nobody says so")
        for actor in self._actors:
            if not actor.lives:
                continue
            limit_s = _deadline_s(actor.task, config) if actor.task else float("inf")
            if now_s - actor.began_s > limit_s + SLACK_S:
                raise Broken(f"process {actor.number} works past its deadline")
            starts_s = now_s - (actor.placed_s or 0.0)
            if not actor.is_up and starts_s > config.start_timeout_s + SLACK_S:
                raise Broken(f"process {actor.number} starts past its deadline")


def _deadline_s(task: Task, config: RayConfig) -> float:
    """When an evaluation is ended, in seconds since it began."""
    return (task.deadline_s or float("inf")) + config.grace_s
