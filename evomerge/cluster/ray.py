"""The Ray executor: a pool of workers in Ray's actors."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, NodeDiedError, RayActorError, RayError
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from evomerge.cluster import job_files
from evomerge.cluster.actors import Location, Unreachable, WorkerDied
from evomerge.cluster.aside import Aside
from evomerge.cluster.attention import Attention
from evomerge.cluster.base import Task, Worker
from evomerge.cluster.config import RayConfig
from evomerge.cluster.job_message import JobMessage, submission_id
from evomerge.cluster.metrics import Measured, Reading
from evomerge.cluster.placement import Needs
from evomerge.cluster.pool import WorkerPool
from evomerge.cluster.ray_connection import RayConnection
from evomerge.cluster.ray_metrics import RayMeter, tokens_of
from evomerge.cluster.versions import Arrival, Company, at_node, not_installed, versions
from evomerge.cluster.worker_config import WorkerConfig
from evomerge.errors import ConfigError
from evomerge.evaluators.base import Outcome
from evomerge.plugins import load
from evomerge.trust import process_environment
from evomerge.value import Value

__all__ = ["EvomergeWorker", "RayActor", "RayActors", "RayExecutor"]

NO_CODE = "failed to import on the worker"
"""Of Ray's message about an actor whose class the node does not have."""

NODE_DIED = (
    "its node has died",
    "the node it was running on is dead",
    "it was cancelled before it started running",
)
"""How Ray 2.60 says that a process went with its node; no attribute of the error does."""

GET_S = 60.0
"""How long a result that is ready may take to arrive."""

LAST_CALLS_S = 5.0
"""How long Ray is waited for at the end."""


@ray.remote
class EvomergeWorker:
    """A worker in a process of its own, which Ray's dashboard lists under this name.

    Its class comes as a name, so that the driver need not load it. Making one may take minutes (an
    engine), which is `start`; before that, `where` says that the process has its place.

    The study and the worker's id are its `repr`, which the dashboard lists beside it. Ray's own
    name of an actor would have to be the only one in its namespace, and Ray asks the head for that
    while the driver waits, for as long as a dead head does not answer.
    """

    def __init__(self, study: str, id_: str) -> None:
        self._title = f"{study} worker {id_}"
        self._meter = RayMeter(study, id_)

    def __repr__(self) -> str:
        return self._title

    def where(self) -> Arrival:
        """Host, process, node and versions; answered as soon as the process runs."""
        return _arrival()

    def start(self, target: str, config: Value, driver: str) -> None:
        """Make the worker, of the class `package.module:class`, from its configuration.

        `driver`: the driver's node; on another one, what is wrong there is said with its name.
        """
        with at_node(_arrival().node, driver):
            job_files.have_job_files()
            self._worker: Worker = load(target)(config)

    def perform(self, task: Task) -> Outcome:
        """What the worker says of the task."""
        outcome = self._worker.perform(task)
        self._meter.record(self._readings(outcome))
        return outcome

    def _readings(self, outcome: Outcome) -> Iterator[Reading]:
        yield from tokens_of(outcome)
        if isinstance(self._worker, Measured):
            yield from self._worker.readings()


@cache
def _arrival() -> Arrival:
    node = ray.util.get_node_ip_address()
    here = ray.get_runtime_context().get_node_id()
    group = ray.util.get_current_placement_group()
    table = {} if group is None else placement_group_table(group)
    others = {id_ for id_ in table.get("bundles_to_node_id", {}).values() if id_ != here}
    return Arrival(f"{node} pid {os.getpid()}", node, versions(), (here, *sorted(others)))


class RayActor:
    """Implements `Actor`."""

    def __init__(
        self,
        handle: Any,
        start: tuple[str, Value, str],
        title: str,
        aside: Aside,
        group: PlacementGroup | None = None,
    ) -> None:
        """
        Args:
            start: the worker's class, its configuration, and the driver's node.
            title: the study and the worker, as Ray's dashboard names what it does.
            aside: makes the calls that may hang.
            group: what its places are reserved by, where they may be on several nodes.
        """
        self._handle, self._start = handle, start
        self._title, self._aside, self._group = title, aside, group

    def where(self) -> Any:
        """See `Actor`."""
        return self._handle.where.options(name=f"{self._title}: does it live?").remote()

    def start(self) -> Any:
        """See `Actor`."""
        return self._handle.start.options(name=f"{self._title}: start").remote(*self._start)

    def perform(self, task: Task) -> Any:
        """See `Actor`."""
        return self._handle.perform.options(name=task.title or task.id[:12]).remote(task)

    def kill(self) -> None:
        """See `Actor`; soon, since Ray asks the head and waits for its answer."""
        self._aside.call(partial(ray.kill, self._handle))
        if self._group is not None:
            self._aside.call(partial(remove_placement_group, self._group))


class RayActors:
    """Implements `Actors` with a Ray that is found or started here."""

    def __init__(self, config: RayConfig, target: str, worker: Value) -> None:
        """
        Raises:
            ConfigError: there is no such cluster.
            InfrastructureError: Ray does not start here.
        """
        self._target = target
        self._study = study_of(worker)
        self._needs = [Needs(kind) for kind in config.kinds]
        engines = [pool.engine for pool in config.pools] or [None]
        self._workers = [
            worker if engine is None else worker.model_copy(update={"engine": engine})
            for engine in engines
        ]
        self._environment = process_environment() | job_files.environment()
        self._attention = Attention()
        self._company = Company()
        self._connection = RayConnection(config, self._study)
        self._aside = Aside()
        self._node = ray.util.get_node_ip_address()

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
        """See `Actors`; what the driver slept through has not passed."""
        return self._attention.now_s(is_deaf=self._connection.is_silent)

    @property
    def gone(self) -> Collection[str]:
        """As of Ray's last answer."""
        return self._connection.gone

    @property
    def leaving(self) -> Collection[str]:
        """As of Ray's last answer."""
        return self._connection.leaving

    def options(self, kind: int) -> dict[str, Any]:
        """Of the actors of one kind of workers."""
        return self._needs[kind].options()

    def make(self, worker: str, kind: int) -> RayActor:
        """See `Actors`."""
        options = self.options(kind)
        bundles = self._needs[kind].bundles
        group = None if bundles is None else placement_group(bundles, strategy="PACK")
        if group is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(group, 0)
        handle: Any = EvomergeWorker.options(  # type: ignore[attr-defined]
            **options, runtime_env={"env_vars": self._environment}
        ).remote(self._study, worker)
        start = (self._target, self._workers[kind], self._node)
        return RayActor(handle, start, f"{self._study} worker {worker}", self._aside, group)

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
            answer: Any = ray.get(reference, timeout=GET_S)
        except RayError as problem:
            if NO_CODE in str(problem):
                raise WorkerDied(not_installed(str(problem))) from None
            cause = getattr(problem, "cause", None) or problem
            if isinstance(problem, ActorUnavailableError):
                cause = Unreachable(str(problem))
            raise WorkerDied(cause, with_its_node=_with_its_node(problem)) from None
        if not isinstance(answer, Arrival):
            return answer
        try:
            self._company.admit(answer)
        except ConfigError as problem:
            raise WorkerDied(problem) from None
        return Location(answer.where, answer.nodes)

    def check(self) -> None:
        """Raises: InfrastructureError: Ray has died, or has not answered for long."""
        self._connection.check()

    def close(self) -> None:
        """End Ray where it was started here; elsewhere it ends a driver's actors by itself, if it
        does not hear of them now."""
        self._aside.close(LAST_CALLS_S)
        self._connection.close()


def _with_its_node(problem: RayError) -> bool:
    """Whether Ray says that a process is gone because its node is, by a fault or preempted."""
    if isinstance(problem, NodeDiedError):
        return True
    if not isinstance(problem, RayActorError):
        return False
    return problem.preempted or any(said in str(problem) for said in NODE_DIED)


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
        self._meter, self._message = RayMeter(study_of(worker)), JobMessage(submission_id())

    def show(self, readings: Iterable[Reading], message: str) -> None:
        """See `Watched`: as metrics, and as the message of the job, where one was submitted."""
        self._meter.record(readings)
        self._message.say(message)

    def close(self) -> None:
        """End all workers, and Ray where it was started here."""
        self._message.close()
        super().close()


def study_of(worker: Value) -> str:
    """What workers made from this work for, as it is called in Ray's dashboard."""
    return (worker.study if isinstance(worker, WorkerConfig) else "") or "evomerge"
