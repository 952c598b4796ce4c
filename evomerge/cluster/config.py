"""Where a search runs: the `cluster` of a job, or a catalog entry of that shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from evomerge.engines.config import EngineSettings
from evomerge.engines.factory import ENGINES
from evomerge.plugins import settings
from evomerge.value import Value

__all__ = ["CLIENT", "ClusterConfig", "InProcessConfig", "RayConfig", "WorkerKind", "WorkerRange"]

CLIENT = (
    "is an address of Ray's client, which evomerge does not connect through; run it on a node of"
    " the cluster, with the head node's own address, host:port as `ray start --head` prints it, or"
    " auto"
)
"""What is said of an address `ray://...`."""

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class WorkerRange(Value):
    """How many workers: they join and leave while the search runs."""

    min: Count = 1
    """Below it the search says so, and goes on with those that it has."""
    max: Count
    """Never more."""

    @model_validator(mode="after")
    def _ordered(self) -> WorkerRange:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


def _is_here(address: str) -> bool:
    """Whether an address is on this machine, or the user's own environment says where it is."""
    if address in ("auto", "local"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _shape(workers: object) -> str:
    return "range" if isinstance(workers, Mapping | WorkerRange) else "number"


_Workers = Annotated[
    Annotated[Count, Tag("number")] | Annotated[WorkerRange, Tag("range")],
    Discriminator(_shape),
]


class ClusterConfig(Value):
    """What a job may say to any executor; one that runs in this process leaves places aside."""

    kind: str
    """The executor's name in the registry."""
    description: str = ""
    """One line for lists of catalog entries."""
    address: str | None = None
    """A cluster that runs already (`auto`, `host:port`); None starts one here for the search."""
    workers: _Workers | None = None
    """How many, or `{min, max}`. None: as many as the cluster's CPUs and GPUs hold when the search
    starts."""
    cpus_per_worker: Seconds = 1
    """CPUs that each worker takes."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """GPUs that each worker takes; a share of one, 0.25, where models are small. None: as many as
    one engine is spread over (`engine.tensor_parallel`), and none where that is 1."""
    resources: Mapping[str, float] = Field(default_factory=dict)
    """Custom resources that each worker takes: name -> amount."""
    max_attempts: Count = 3
    """How often a candidate is tried when its worker, not the candidate, fails."""
    candidate_timeout_s: Seconds | None = None
    """Seconds that an evaluation may take, from when a worker begins it. A candidate that takes
    longer has failed and is not tried again. None: as long as it takes."""
    grace_s: Seconds = 10
    """Seconds past its deadline after which a hanging evaluation is ended: on Ray by killing its
    worker; in process by interrupting it, and a minute later by ending the process."""
    dashboard: bool = True
    """Serve Ray's dashboard on loopback, where evomerge starts Ray itself."""

    @field_validator("address")
    @classmethod
    def _no_client(cls, address: str | None) -> str | None:
        if address is not None and address.startswith("ray://"):
            raise ValueError(f"{address} {CLIENT}")
        return address

    @property
    def code(self) -> tuple[str, ...]:
        """A Ray on another machine, which may send us whatever it likes, pickled: the user has to
        consent to that (`evomerge.trust`)."""
        if self.address is None or _is_here(self.address):
            return ()
        return (f"what the Ray cluster at {self.address} sends",)

    @property
    def opening(self) -> str:
        """For a person: what is done where the executor is made, which may take seconds."""
        return f"starting the workers ({self.kind})"

    @property
    def parallelism(self) -> int:
        """Most tasks at once, as far as the job says it; else 1."""
        return _most(self.workers)


def _most(workers: int | WorkerRange | None) -> int:
    return workers.max if isinstance(workers, WorkerRange) else workers or 1


class WorkerKind(Value):
    """Some of a mixed cluster's workers: what is left out is as the cluster says."""

    workers: _Workers
    """How many of them, or `{min, max}`."""
    cpus_per_worker: Seconds | None = None
    """CPUs that each of them takes."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """GPUs that each of them takes; 0 for workers on CPUs beside others on GPUs."""
    resources: Mapping[str, float] | None = None
    """Custom resources that each of them takes: name -> amount."""
    engine: Annotated[EngineSettings, settings(ENGINES, "engine")] | None = None
    """Their engine, where it is not the job's: transformers on CPUs beside vLLM on GPUs, say."""


class RayConfig(ClusterConfig):
    """Workers in processes of their own, on this machine or on a cluster, kept by Ray."""

    kind: Literal["ray"] = "ray"
    """Ray."""
    pools: tuple[WorkerKind, ...] = ()
    """Workers of several kinds, in place of `workers`: how many of each, and what they take. Scores
    of the same weights differ a little between engines and between CPU and GPU."""
    across_nodes: bool = False
    """The GPUs of one worker may be on several nodes: for engines that no node has GPUs enough for.
    Each is spread by Ray over a placement group, and needs a network that is quick enough."""
    placement_notice_s: Seconds = 15
    """Seconds without a place for a worker until the search says what it waits for."""
    placement_timeout_s: Seconds | None = 300
    """Seconds without a single worker that has a place until the search ends with the reason. Null:
    it waits as long as it takes, as one does that was submitted (docs/clusters.md)."""
    start_timeout_s: Seconds = 3600
    """Seconds that a worker may take to come up, its engine loaded, until it is started again."""
    ray_timeout_s: Annotated[float, Field(gt=0, lt=60)] = 30
    """Seconds without an answer from Ray until the search ends with the reason; after 60 Ray ends
    the process itself."""

    @model_validator(mode="after")
    def _pools_alone(self) -> RayConfig:
        if self.pools and self.workers is not None:
            raise ValueError("workers: each of the pools says how many; leave one of the two out")
        return self

    @property
    def kinds(self) -> tuple[RayConfig, ...]:
        """The kinds of workers, each as if it were alone; one where there are no `pools`."""
        if not self.pools:
            return (self,)
        return tuple(
            self.model_copy(
                update={"pools": ()}
                | {
                    key: value
                    for key in ("workers", "cpus_per_worker", "gpus_per_worker", "resources")
                    if (value := getattr(pool, key)) is not None
                }
            )
            for pool in self.pools
        )

    @property
    def code(self) -> tuple[str, ...]:
        """What another machine may send, and what the pools' engines name."""
        engines = (pool.engine for pool in self.pools if pool.engine is not None)
        return (*super().code, *(f"cluster.pools: {code}" for own in engines for code in own.code))

    @property
    def parallelism(self) -> int:
        """Most tasks at once, as far as the job says it; else 1."""
        return sum(_most(kind.workers) for kind in self.kinds)

    @property
    def opening(self) -> str:
        """For a person: Ray is started here, or looked for at its address."""
        return f"connecting to Ray at {self.address}" if self.address else "starting Ray here"


class InProcessConfig(ClusterConfig):
    """One worker in the process itself, for debugging. A candidate that ends this process each time
    is given up after `max_attempts` sittings."""

    kind: Literal["in_process"] = "in_process"
    """The process itself. Of the shared keys, `max_attempts`, `candidate_timeout_s` and `grace_s`
    count."""

    @property
    def opening(self) -> str:
        """For a person: there is one worker, in this process."""
        return "starting a worker in this process"
