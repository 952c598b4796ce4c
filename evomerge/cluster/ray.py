"""The Ray executor: actors that each own a worker; the only module that imports Ray.

A dead worker (killed, out of memory, its node gone) is replaced and its candidate submitted again,
at most `max_attempts` times; an exception inside the worker counts as such a death, since a
candidate that is itself at fault comes back as a `Failure`. Where no worker comes up at all, the
search stops with the reason instead of trying for ever.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError, RayTaskError

from evomerge.cluster.base import Task, TaskResult, Worker, WorkerState, WorkerStatus
from evomerge.cluster.config import RayConfig
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.evaluators.base import Failure, Outcome
from evomerge.plugins import load
from evomerge.value import Value

__all__ = ["RayExecutor"]

OBJECT_STORE_BYTES = 128 << 20
"""For a Ray started here: only recipes and reports pass through its object store."""

log = logging.getLogger(__name__)

STARTS = 3
"""A worker that dies this many times before its first result stops the search."""


@ray.remote
class EvomergeWorker:
    """A worker in a process of its own, which Ray's dashboard lists under this name.

    The performer's class comes as a name, so that the driver need not load it.
    """

    def __init__(self, target: str, config: Value) -> None:
        self._performer: Worker = load(target)(config)

    def perform(self, task: Task) -> Outcome:
        return self._performer.perform(task)

    def place(self) -> str:
        return f"{ray.util.get_node_ip_address()} pid {os.getpid()}"


@dataclass
class _Slot:
    """One actor and what it is doing."""

    actor: ActorHandle[Any]
    place: Any
    """Reference to where it runs; resolved once it has come up."""
    where: str = "starting"
    proved: bool = False
    task: Task | None = None
    attempt: int = 0
    since: float = 0.0
    result: Any = None
    restarts: int = 0

    def status(self, id_: str) -> WorkerStatus:
        state: WorkerState = "busy" if self.task else "idle" if self.proved else "starting"
        where = self.where if self.proved else None
        seconds = time.monotonic() - self.since
        task = self.task.id if self.task else None
        return WorkerStatus(id_, state, where, task, seconds, self.restarts)


class RayExecutor:
    """Implements `Executor` with one actor per worker."""

    def __init__(self, cluster: RayConfig, target: str, config: Value) -> None:
        """Connect to Ray (or start it) and the workers.

        `target` names the performer's class as `module:class`; it is called with `config` in the
        worker's process.

        Raises:
            ConfigError: no such cluster, or not even one worker fits it.
        """
        self._cluster = cluster
        self._target, self._config = target, config
        self._owns_ray = not ray.is_initialized()
        self._url = _connect(cluster) if self._owns_ray else ""
        self._queue: deque[tuple[Task, int]] = deque()
        self._cancelled: set[str] = set()
        self._deaths = 0
        self._is_open = True
        self._slots = [self._start() for _ in range(_workers(cluster))]

    @property
    def free(self) -> int:
        idle = sum(slot.task is None for slot in self._slots)
        return max(0, idle - len(self._queue)) if self._is_open else 0

    def workers(self) -> list[WorkerStatus]:
        return [slot.status(str(number)) for number, slot in enumerate(self._slots)]

    def waiting_for(self) -> str | None:
        return None

    @property
    def where(self) -> str:
        board = f", dashboard {self._url}" if self._url else ""
        # Ray sets this when it starts, unless the user turned tokens off.
        if board and os.environ.get("RAY_AUTH_MODE") == "token":
            board += " (it asks for a token: ray get-auth-token)"
        return f"{len(self._slots)} Ray worker(s){board}"

    def submit(self, task: Task) -> None:
        if not self._is_open:
            raise RuntimeError("the executor takes no more tasks")
        self._queue.append((task, 1))
        self._dispatch()

    def wait(self, timeout_s: float) -> list[TaskResult]:
        busy = {slot.result: slot for slot in self._slots if slot.task is not None}
        if not busy:
            return []
        ready, _ = ray.wait(list(busy), num_returns=1, timeout=timeout_s)
        if ready:  # take what else has finished meanwhile
            ready, _ = ray.wait(list(busy), num_returns=len(busy), timeout=0)
        done = [one for reference in ready if (one := self._finish(busy[reference]))]
        done += [one for slot in self._slots if (one := self._expire(slot))]
        self._dispatch()
        kept = [one for one in done if one.id not in self._cancelled]
        self._cancelled -= {one.id for one in done}
        return kept

    def cancel(self, id_: str) -> None:
        self._queue = deque((task, n) for task, n in self._queue if task.id != id_)
        if any(slot.task is not None and slot.task.id == id_ for slot in self._slots):
            self._cancelled.add(id_)

    def drain(self) -> None:
        self._is_open = False

    def close(self) -> None:
        self._is_open = False
        for slot in self._slots:
            ray.kill(slot.actor)
        self._slots, self._queue = [], deque()
        if self._owns_ray:
            ray.shutdown()

    def _start(self) -> _Slot:
        cluster = self._cluster
        actor = EvomergeWorker.options(  # type: ignore[attr-defined]
            num_cpus=cluster.cpus_per_worker,
            num_gpus=cluster.gpus_per_worker,
            resources=dict(cluster.resources) or None,
        ).remote(self._target, self._config)
        return _Slot(actor, actor.place.remote())

    def _dispatch(self) -> None:
        for slot in self._slots:
            if slot.task is None and self._queue:
                slot.task, slot.attempt = self._queue.popleft()
                slot.since = time.monotonic()
                slot.result = slot.actor.perform.options(name=_title(slot.task)).remote(slot.task)

    def _finish(self, slot: _Slot) -> TaskResult | None:
        """The finished work of a slot; None where it died and the work goes round again."""
        task, attempt = _busy(slot), slot.attempt
        try:
            outcome: Outcome = ray.get(slot.result)
            if not slot.proved:
                slot.where, slot.proved = ray.get(slot.place), True
        except (RayActorError, RayTaskError, RayError) as problem:
            return self._replace(slot, task, attempt, _reason(problem))
        slot.task = None
        self._deaths = 0
        return TaskResult(task.id, outcome, slot.where, attempt)

    def _expire(self, slot: _Slot) -> TaskResult | None:
        limit = self._cluster.candidate_timeout_s
        if limit is None or slot.task is None or time.monotonic() - slot.since < limit:
            return None
        return self._replace(slot, slot.task, slot.attempt, f"took longer than {limit:g} s")

    def _replace(self, slot: _Slot, task: Task, attempt: int, reason: str) -> TaskResult | None:
        """Put a new worker in the slot; the work goes to the head of the queue if it may."""
        where, proved = slot.where, slot.proved
        log.warning("worker %s failed at %s (attempt %d): %s", where, task.id, attempt, reason)
        self._deaths += not proved
        if self._deaths >= STARTS:
            raise InfrastructureError(f"the workers do not come up; the last one said: {reason}")
        ray.kill(slot.actor)
        fresh = self._start()
        slot.actor, slot.place, slot.where, slot.proved = (
            fresh.actor,
            fresh.place,
            "starting",
            False,
        )
        slot.task = None
        slot.restarts += 1
        if attempt < self._cluster.max_attempts:
            self._queue.appendleft((task, attempt + 1))
            return None
        return TaskResult(task.id, Failure(cause="infrastructure", message=reason), where, attempt)


def _connect(cluster: RayConfig) -> str:
    """Connect to the address, or start Ray here; the dashboard's URL where there is one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ours: dict[str, Any] = {}
    if cluster.address is None:
        ours = {
            "include_dashboard": cluster.dashboard,
            "dashboard_host": "127.0.0.1",
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    try:
        context = ray.init(
            cluster.address or "local", log_to_driver=False, logging_level=logging.ERROR, **ours
        )
    except (ConnectionError, ValueError) as problem:
        raise ConfigError(
            f"cluster.address: no Ray cluster at {cluster.address!r} ({problem});"
            " start one with 'ray start --head', or leave the address out to start one here"
        ) from None
    url = str(context.dashboard_url or "")
    return f"http://{url}" if url else ""


def _workers(cluster: RayConfig) -> int:
    """How many workers to start: as asked, else as many as the resources hold.

    Raises:
        ConfigError: the cluster as it is now cannot hold even one.
    """
    has = ray.cluster_resources()
    needs = {"CPU": cluster.cpus_per_worker, "GPU": cluster.gpus_per_worker, **cluster.resources}
    fits = min(int(has.get(name, 0.0) // amount) for name, amount in needs.items() if amount > 0)
    if fits < 1 and cluster.address is None:
        short = next(n for n, amount in needs.items() if amount > 0 and has.get(n, 0.0) < amount)
        raise ConfigError(
            f"cluster: a worker needs {needs[short]:g} {short}, this machine has"
            f" {has.get(short, 0.0):g}"
        )
    return cluster.parallelism if cluster.workers else max(fits, 1)


def _title(task: Task) -> str:
    """What the dashboard calls the task: "search 12", or the start of a recipe's digest."""
    return f"{task.split} {task.id[:12]}"


def _busy(slot: _Slot) -> Task:
    if slot.task is None:
        raise InfrastructureError("an idle worker cannot finish anything")
    return slot.task


def _reason(problem: Exception) -> str:
    cause = getattr(problem, "cause", None) or problem
    lines = str(cause).strip().splitlines() or [""]
    return f"{type(cause).__name__}: {lines[-1]}"
