"""Where a search runs: the `cluster` of a job, or a catalog entry of that shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from evomerge.engines.config import EngineConfig
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.value import Value

__all__ = ["ClusterConfig", "WorkerConfig"]


class ClusterConfig(Value):
    """Workers and what each of them gets."""

    kind: Literal["ray", "in_process"] = "ray"
    description: str = ""
    address: str | None = None
    """A running Ray cluster (`auto`, `host:port`); None starts one here for the search."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """None: as many as the cluster's CPUs and GPUs hold when the search starts."""
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0
    resources: Mapping[str, float] = Field(default_factory=dict)
    """Custom Ray resources that each worker takes."""
    max_attempts: Annotated[int, Field(ge=1)] = 3
    """How often a candidate is tried when its worker, not the candidate, fails."""
    candidate_timeout_s: Annotated[float, Field(gt=0)] | None = None
    """A worker busy with one candidate for longer is replaced; None waits as long as it takes."""
    dashboard: bool = True
    """Serve Ray's dashboard on loopback, where evomerge starts Ray itself."""


class WorkerConfig(Value):
    """All that a worker is made from; it crosses processes as configuration."""

    skeleton: Source
    """The source whose folder the engine starts from: its configuration and tokenizer are used."""
    engine: EngineConfig
    evaluator: EvaluatorConfig
    capacity: Capacity | None = None
    """For engines that route layers; None: weights are merged into the engine."""
