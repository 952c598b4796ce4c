"""The simulated cluster: workers that take time, die, hang, answer late or twice, or leave."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from evomerge.cluster.base import Task, TaskResult, WorkerState, WorkerStatus, overrun
from evomerge.evaluators.base import Failure, Outcome
from evomerge.simulation.events import Events
from evomerge.simulation.scenario import Scenario
from evomerge.simulation.scores import simulated_outcome
from evomerge.simulation.world import World

__all__ = ["SimulatedCluster", "Told"]

GRACE_S = 5.0
START_S = 4.0
"""How long a worker takes to come up."""


@dataclass
class _Assignment:
    task: Task
    attempt: int


@dataclass
class _Worker:
    id: str
    node: int
    is_up: bool = True
    assignment: _Assignment | None = None
    restarts: int = 0
    """Also tells which process an event is about: those of an earlier one mean nothing."""
    since_s: float = 0.0


@dataclass
class Told:
    """What the cluster has seen of one candidate's stage, over all sittings."""

    begun: int = 0
    delivered: list[tuple[Outcome, int]] = field(default_factory=list)
    """Outcomes with their attempts, in the order in which they were handed over."""
    delivered_s: float = -1.0
    """Simulated time of the last of them."""

    def hand_over(self, result: TaskResult, at_s: float) -> None:
        """The driver gets what became of it, at a simulated time."""
        self.delivered.append((result.outcome, result.attempts))
        self.delivered_s = at_s


class SimulatedCluster:
    """Implements `Executor` in simulated time. One is made for each sitting."""

    def __init__(
        self, scenario: Scenario, world: World, begun: Iterator[int], told: dict[str, Told]
    ) -> None:
        """`begun` numbers evaluations over all sittings; `told`: task id -> what became of it."""
        self._scenario, self._world, self._begun, self._told = scenario, world, begun, told
        self._rng = random.Random(f"cluster {scenario.seed}")
        self._workers = [
            _Worker(str(number), number // scenario.workers_per_node)
            for number in range(scenario.workers)
        ]
        self._queue: deque[_Assignment] = deque()
        self._ready: list[TaskResult] = []
        self._events = Events(world)
        self._unwanted: set[str] = set()
        self._handed_over: set[str] = set()
        self._away: set[int] = set()
        self._is_open = True

    @property
    def where(self) -> str:
        """For a person."""
        return "in a simulation"

    @property
    def free(self) -> int:
        """Workers that are up and idle, less what waits."""
        if not self._is_open:
            return 0
        idle = sum(worker.is_up and worker.assignment is None for worker in self._workers)
        return max(0, idle - len(self._queue))

    @property
    def outstanding(self) -> list[str]:
        """Ids of the tasks that are wanted and were not handed over."""
        busy = [worker.assignment for worker in self._workers if worker.assignment]
        ids = [assignment.task.id for assignment in [*busy, *self._queue]]
        return [id_ for id_ in ids if id_ not in self._unwanted | self._handed_over]

    def workers(self) -> list[WorkerStatus]:
        """Every worker."""
        return [self._status(worker) for worker in self._workers]

    def waiting_for(self) -> str | None:
        """The nodes that have left."""
        return f"nodes {sorted(self._away)}" if self._away else None

    def submit(self, task: Task) -> None:
        """Queue a task."""
        self._world.cross("submit", task.id)
        if not self._is_open:
            raise RuntimeError("the executor takes no more tasks")
        if task.id in self.outstanding:
            raise AssertionError(f"task {task.id} is under way already")
        self._queue.append(_Assignment(task, 1))
        self._told.setdefault(task.id, Told()).begun += 1
        self._dispatch()

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """What has finished; time passes until the first result, or until the time-out."""
        self._world.cross("wait")
        self._world.interrupt()
        end = self._world.now_s + timeout_s
        while not self._ready and self._events.next_s() <= end:
            if self.free and not self.outstanding and self._events.is_empty:
                return []
            self._advance()
        results, self._ready = self._ready, []
        if not results:
            self._world.now_s = max(self._world.now_s, end)
        self._rng.shuffle(results)
        self._handed_over |= {result.id for result in results}
        for result in results:
            self._world.say("answer", f"{result.id} {type(result.outcome).__name__}")
            self._told[result.id].hand_over(result, self._world.now_s)
        return results

    def cancel(self, id_: str) -> None:
        """Want no result; as a careless executor would, it may hand over one nevertheless."""
        self._world.cross("cancel", id_)
        self._unwanted.add(id_)
        self._queue = deque(queued for queued in self._queue if queued.task.id != id_)

    def drain(self) -> None:
        """Take no more tasks."""
        self._is_open = False

    def close(self) -> None:
        """Let the workers go."""
        self._is_open = False
        self._queue.clear()
        for worker in self._workers:
            worker.assignment = None

    def allows(self, problem: Exception) -> bool:
        """Whether a search may end with this: no worker of this cluster is lost for good."""
        return False

    def _advance(self) -> None:
        """Let all happen that happens next, at one moment."""
        self._events.advance()
        while fault := self._world.due_fault():
            if fault.kind == "node leaves":
                self._world.note(fault)
                self._leave(int(fault.share * 8) % (self._workers[-1].node + 1), 40 * fault.share)
        self._dispatch()

    def _dispatch(self) -> None:
        for worker in self._workers:
            if worker.is_up and worker.assignment is None and self._queue:
                self._begin(worker, self._queue.popleft())

    def _begin(self, worker: _Worker, assignment: _Assignment) -> None:
        worker.assignment, worker.since_s = assignment, self._world.now_s
        takes_s = self._rng.choice((0.3, 1.0, 1.0, 2.5, 7.0))
        deadline_s = assignment.task.deadline_s or self._scenario.timeout_s
        number, process = next(self._begun), worker.restarts

        def alive(event: Callable[[], None]) -> Callable[[], None]:
            return lambda: event() if worker.restarts == process else None

        outcome = simulated_outcome(assignment.task)
        fault = self._world.of_evaluation(number)
        if fault is not None:
            self._world.note(fault)
        match fault.kind if fault else None, fault.share if fault else 0.0:
            case "worker dies", share:
                self._events.after(takes_s * share, alive(lambda: self._die(worker)))
                return
            case "worker hangs", _:
                takes_s = float("inf")
            case "late answer", share:
                takes_s = 1.2 * deadline_s * share
            case "answer twice", share:
                again = TaskResult(assignment.task.id, outcome, worker.id, assignment.attempt)
                late_s = takes_s + 8 * max(share - 0.5, 0.0)
                self._events.after(late_s, lambda: self._ready.append(again))
        if takes_s > deadline_s:
            takes_s, outcome = deadline_s + GRACE_S, overrun(deadline_s)
            self._events.after(takes_s, alive(lambda: self._down(worker, START_S)))
        self._events.after(takes_s, lambda: self._finish(worker, assignment, outcome))

    def _finish(self, worker: _Worker, assignment: _Assignment, outcome: Outcome) -> None:
        if worker.assignment is assignment:
            worker.assignment, worker.since_s = None, self._world.now_s
        elif not isinstance(outcome, Failure) or "deadline" not in outcome.message:
            return  # its process died before
        if assignment.task.id not in self._unwanted or self._rng.random() < 0.5:
            result = TaskResult(assignment.task.id, outcome, worker.id, assignment.attempt)
            self._ready.append(result)

    def _die(self, worker: _Worker) -> None:
        assignment = worker.assignment
        self._down(worker, START_S)
        if assignment is None or assignment.task.id in self._unwanted:
            return
        if assignment.attempt < self._scenario.max_attempts:
            self._queue.appendleft(_Assignment(assignment.task, assignment.attempt + 1))
        else:
            failure = Failure(cause="infrastructure", message="the worker died")
            result = TaskResult(assignment.task.id, failure, worker.id, assignment.attempt)
            self._ready.append(result)

    def _down(self, worker: _Worker, for_s: float) -> None:
        worker.is_up, worker.assignment, worker.since_s = False, None, self._world.now_s
        worker.restarts += 1
        process = worker.restarts

        def up() -> None:
            if worker.restarts == process and worker.node not in self._away:
                worker.is_up, worker.since_s = True, self._world.now_s

        self._events.after(for_s, up)

    def _leave(self, node: int, for_s: float) -> None:
        """A node goes, with all its workers, and another takes its place."""
        if node in self._away:
            return
        self._away.add(node)
        for worker in self._workers:
            if worker.node == node:
                self._die(worker)

        def join() -> None:
            self._away.discard(node)
            for worker in self._workers:
                if worker.node == node:
                    self._down(worker, START_S)

        self._events.after(for_s, join)

    def _status(self, worker: _Worker) -> WorkerStatus:
        task = worker.assignment.task.id if worker.assignment else None
        seconds = self._world.now_s - worker.since_s
        state: WorkerState = "lost" if not worker.is_up else "busy" if task else "idle"
        return WorkerStatus(worker.id, state, f"node {worker.node}", task, seconds, worker.restarts)
