"""The real pool of workers in simulated processes, and what it owes to whoever calls it.

- An outcome is handed over once, and none that is not wanted any more.
- An attempt is a time that a process began the task, and there are no more than the job allows,
  not counting those of processes that went with their nodes.
- When an outcome is handed over, no process is at its task.
- It gives up only for a reason that is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evomerge.cluster.actors import Actors
from evomerge.cluster.base import Executor, Task, TaskResult, WorkerStatus
from evomerge.cluster.config import RayConfig, WorkerRange
from evomerge.cluster.pool import NODES, STARTS
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.evaluators.base import Failure
from evomerge.simulation.actors import SimulatedActors
from evomerge.simulation.cluster import GRACE_S, Told
from evomerge.simulation.scenario import Scenario
from evomerge.simulation.world import Broken, World

__all__ = ["SimulatedPool"]

PLACEMENT_S = 60.0
START_LIMIT_S = 30.0


class SimulatedPool:
    """Implements `Executor`. One is made for each sitting."""

    def __init__(
        self,
        make: Callable[[RayConfig, Actors], Executor],
        scenario: Scenario,
        world: World,
        numbers: tuple[Iterator[int], Iterator[int]],
        told: dict[str, Told],
    ) -> None:
        """`make`: makes the pool. `numbers`: of evaluations and of processes, over all sittings.
        `told`: task id -> what became of it."""
        self._world, self._told = world, told
        self._config = RayConfig(
            address="auto",
            workers=WorkerRange(min=1, max=scenario.workers),
            max_attempts=scenario.max_attempts,
            candidate_timeout_s=scenario.timeout_s,
            grace_s=GRACE_S,
            placement_timeout_s=PLACEMENT_S,
            start_timeout_s=START_LIMIT_S,
        )
        self._actors = SimulatedActors(scenario, self._config, world, *numbers)
        self._pool = make(self._config, self._actors)
        self._wanted: list[str] = []

    @property
    def where(self) -> str:
        """For a person."""
        return self._pool.where

    @property
    def free(self) -> int:
        """See `Executor`."""
        return self._pool.free

    @property
    def outstanding(self) -> list[str]:
        """Ids of the tasks that are wanted and were not handed over."""
        return list(self._wanted)

    def workers(self) -> list[WorkerStatus]:
        """See `Executor`."""
        return list(self._pool.workers())

    def waiting_for(self) -> str | None:
        """See `Executor`."""
        return self._pool.waiting_for()

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        self._world.cross("submit", task.id)
        if task.id in self._wanted:
            raise AssertionError(f"task {task.id} is under way already")
        self._told.setdefault(task.id, Told()).begun += 1
        self._wanted.append(task.id)
        self._pool.submit(task)

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """See `Executor`.

        Raises:
            Broken: the pool hands over what it should not.
        """
        self._world.cross("wait")
        self._world.interrupt()
        results = list(self._pool.wait(timeout_s))
        for result in results:
            self._world.say("answer", f"{result.id} {type(result.outcome).__name__}")
            self._check(result)
            self._wanted.remove(result.id)
            self._told[result.id].hand_over(result, self._world.now_s)
        return results

    def cancel(self, id_: str) -> None:
        """See `Executor`."""
        self._world.cross("cancel", id_)
        self._wanted = [wanted for wanted in self._wanted if wanted != id_]
        self._pool.cancel(id_)

    def drain(self) -> None:
        """See `Executor`."""
        self._actors.is_draining = True
        self._pool.drain()

    def close(self) -> None:
        """See `Executor`.

        Raises:
            Broken: the pool leaves processes.
        """
        self._actors.is_closed = True
        self._pool.close()
        if left := self._actors.left:
            raise Broken(f"the pool is closed, and processes {left} are left")

    def allows(self, problem: Exception) -> bool:
        """Whether a search may end with this: it is true."""
        actors, said = self._actors, str(problem)
        match problem:
            case ConfigError():
                return actors.refusals > 0 and "is not installed" in said
            case InfrastructureError() if "found a place" in said:
                return actors.without_place_s > PLACEMENT_S
            case InfrastructureError() if "do not come up" in said:
                return actors.failed_starts >= STARTS or actors.refusals > 0
        return False

    def _check(self, result: TaskResult) -> None:
        id_, begun = result.id, self._actors.begun.get(result.id, 0)
        if id_ not in self._wanted:
            raise Broken(f"task {id_} is handed over, and nobody waits for it")
        if self._actors.runs(id_):
            raise Broken(f"task {id_} is handed over, and a process is at it")
        if result.attempts != begun:
            raise Broken(f"task {id_} was begun {begun} times, and {result.attempts} count")
        most, spared = self._config.max_attempts, self._actors.lost[id_]
        is_lost = isinstance(result.outcome, Failure) and result.outcome.cause == "infrastructure"
        if begun - spared > most or (is_lost and begun - spared < most and spared < NODES):
            raise Broken(
                f"task {id_} was begun {begun} times, {spared} of them on a node that left, and"
                f" {most} are allowed"
            )
