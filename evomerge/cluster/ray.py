"""The Ray executor: a pool of workers in Ray's actors."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from evomerge.cluster.actors import WorkerDied
from evomerge.cluster.base import Task, Worker
from evomerge.cluster.config import RayConfig
from evomerge.cluster.placement import Needs
from evomerge.cluster.pool import WorkerPool
from evomerge.cluster.ray_connection import RayConnection
from evomerge.evaluators.base import Outcome
from evomerge.plugins import load
from evomerge.trust import process_environment
from evomerge.value import Value

__all__ = ["EvomergeWorker", "RayActor", "RayActors", "RayExecutor"]

GET_S = 60.0
"""How long a result that is ready may take to arrive."""


@ray.remote
class EvomergeWorker:
    """A worker in a process of its own, which Ray's dashboard lists under this name.

    Its class comes as a name, so that the driver need not load it. Making one may take minutes (an
    engine), which is `start`; before that, `where` says that the process has its place.
    """

    def where(self) -> str:
        """Host and process; answered as soon as the process runs."""
        return f"{ray.util.get_node_ip_address()} pid {os.getpid()}"

    def start(self, target: str, config: Value) -> None:
        """Make the worker, of the class `package.module:class`, from its configuration."""
        self._worker: Worker = load(target)(config)

    def perform(self, task: Task) -> Outcome:
        """What the worker says of the task."""
        return self._worker.perform(task)


class RayActor:
    """Implements `Actor`."""

    def __init__(self, handle: Any, target: str, worker: Value) -> None:
        self._handle, self._start = handle, (target, worker)

    def where(self) -> Any:
        """See `Actor`."""
        return self._handle.where.remote()

    def start(self) -> Any:
        """See `Actor`."""
        return self._handle.start.remote(*self._start)

    def perform(self, task: Task) -> Any:
        """See `Actor`."""
        title = f"{task.split} {task.id[:12]}"  # in Ray's dashboard
        return self._handle.perform.options(name=title).remote(task)

    def kill(self) -> None:
        """See `Actor`."""
        ray.kill(self._handle)


class RayActors:
    """Implements `Actors` with a Ray that is found or started here."""

    def __init__(self, config: RayConfig, target: str, worker: Value) -> None:
        """
        Raises:
            ConfigError: there is no such cluster.
            InfrastructureError: Ray does not start here.
        """
        self._target, self._worker = target, worker
        self._options = Needs(config).options()
        self._environment = process_environment()
        self._connection = RayConnection(config)

    @property
    def where(self) -> str:
        """Ray's dashboard, and who can reach Ray."""
        url = self._connection.url
        return (f", dashboard {url}" if url else "") + self._connection.access

    @property
    def total(self) -> Mapping[str, float]:
        """As of Ray's last answer."""
        return self._connection.total

    @property
    def free(self) -> Mapping[str, float]:
        """As of Ray's last answer."""
        return self._connection.free

    def now_s(self) -> float:
        """See `Actors`."""
        return time.monotonic()

    def make(self) -> RayActor:
        """See `Actors`."""
        handle: Any = EvomergeWorker.options(  # type: ignore[attr-defined]
            **self._options, runtime_env={"env_vars": self._environment}
        ).remote()
        return RayActor(handle, self._target, self._worker)

    def answered(self, references: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """See `Actors`."""
        ready, _ = ray.wait(list(references), num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = ray.wait(list(references), num_returns=len(references), timeout=0)
        answered: list[Any] = ready
        return answered

    def take(self, reference: Any) -> Any:
        """See `Actors`."""
        try:
            return ray.get(reference, timeout=GET_S)
        except RayError as problem:
            raise WorkerDied(getattr(problem, "cause", None) or problem) from None

    def check(self) -> None:
        """Raises: InfrastructureError: Ray has died, or has not answered for long."""
        self._connection.check()

    def close(self) -> None:
        """End Ray where it was started here."""
        self._connection.close()


class RayExecutor(WorkerPool):
    """Implements `Executor` with one actor of Ray per worker."""

    def __init__(self, config: RayConfig, target: str, worker: Value) -> None:
        """Connect to Ray, or start it, and ask it for the workers.

        `target` names the workers' class as `package.module:class`; it is called with `worker` in
        the worker's process.

        Raises:
            ConfigError: no such cluster, or this machine cannot hold even one worker.
            InfrastructureError: Ray does not start here.
        """
        super().__init__(config, RayActors(config, target, worker))
