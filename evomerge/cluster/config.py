"""Where a search runs: the `cluster` of a job, or a catalog entry of that shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from evomerge.value import Value

__all__ = ["CLIENT", "ClusterConfig", "InProcessConfig", "RayConfig", "WorkerRange"]

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
    host = address.removeprefix("ray://").rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _shape(workers: object) -> str:
    return "range" if isinstance(workers, Mapping | WorkerRange) else "number"


class ClusterConfig(Value):
    """What a job may say to any executor; one that runs in this process leaves places aside."""

    kind: str
    """The executor's name in the registry."""
    description: str = ""
    """One line for lists of catalog entries."""
    address: str | None = None
    """A cluster that runs already (`auto`, `host:port`); None starts one here for the search."""
    workers: (
        Annotated[
            Annotated[Count, Tag("number")] | Annotated[WorkerRange, Tag("range")],
            Discriminator(_shape),
        ]
        | None
    ) = None
    """How many, or `{min, max}`. None: as many as the cluster's CPUs and GPUs hold when the search
    starts."""
    cpus_per_worker: Seconds = 1
    """CPUs that each worker takes."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0
    """GPUs that each worker takes."""
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
        return self.workers.max if isinstance(self.workers, WorkerRange) else self.workers or 1


class RayConfig(ClusterConfig):
    """Workers in processes of their own, on this machine or on a cluster, kept by Ray."""

    kind: Literal["ray"] = "ray"
    """Ray."""
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
