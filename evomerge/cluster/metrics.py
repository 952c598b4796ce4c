"""What is measured of a search as it runs, for whoever watches its cluster: every metric, once.

Ray collects them on each node and hands them to Prometheus, there under the names `ray_NAME`, and
`ray_NAME_total` for what is counted. `cluster/monitoring/` draws them, `docs/clusters.md` lists
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

__all__ = ["METRICS", "Measured", "Quantity", "Reading", "Watched"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Something that is measured."""

    kind: Literal["gauge", "counter"]
    """A gauge is what holds at the moment; a counter only grows, and is told by how much."""
    unit: str
    tags: tuple[str, ...]
    """What tells its series apart, beside the study: each has a value for every tag."""
    description: str

    @property
    def keys(self) -> tuple[str, ...]:
        """All of its tags, the study's first."""
        return ("study", *self.tags)


@dataclass(frozen=True)
class Reading:
    """A value of a metric; of a counter, what is added to it (more than 0)."""

    metric: str
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)
    """All but the study, which whoever shows it knows."""


METRICS: Mapping[str, Quantity] = {
    "evomerge_candidates": Quantity(
        kind="gauge",
        unit="candidates",
        tags=("state",),
        description="Candidates that are running, paused, done, stopped or failed.",
    ),
    "evomerge_budget": Quantity(
        kind="gauge",
        unit="candidates",
        tags=(),
        description="Candidates, or evaluations, of the budget; absent where it counts seconds.",
    ),
    "evomerge_left": Quantity(
        kind="gauge",
        unit="seconds",
        tags=(),
        description="About how long the search still takes; absent while that cannot be told.",
    ),
    "evomerge_best_fitness": Quantity(
        kind="gauge",
        unit="fitness",
        tags=("objective",),
        description="The best fitness so far, of each objective.",
    ),
    "evomerge_mean_fitness": Quantity(
        kind="gauge",
        unit="fitness",
        tags=("objective",),
        description="The mean fitness of the last 50 candidates that were scored.",
    ),
    "evomerge_best_parent_fitness": Quantity(
        kind="gauge",
        unit="fitness",
        tags=("objective",),
        description="The best fitness of a parent alone; absent where none was tried.",
    ),
    "evomerge_seconds": Quantity(
        kind="counter",
        unit="seconds",
        tags=("phase",),
        description=(
            "Time of the candidates that came to an end: ask (the optimizer's), queue (waiting for"
            " a worker, and being tried again), merge, load, generate and score (the worker's)."
        ),
    ),
    "evomerge_evaluations": Quantity(
        kind="counter",
        unit="evaluations",
        tags=(),
        description="Candidates that came to an end and were evaluated for it.",
    ),
    "evomerge_tokens": Quantity(
        kind="counter",
        unit="tokens",
        tags=("worker", "kind"),
        description="Tokens that went through a worker's model: read or generated.",
    ),
    "evomerge_workers": Quantity(
        kind="gauge",
        unit="workers",
        tags=("state",),
        description="Workers that are starting, idle, busy, draining or lost.",
    ),
    "evomerge_worker_restarts": Quantity(
        kind="gauge",
        unit="restarts",
        tags=(),
        description="How often a process of this search's workers was replaced.",
    ),
    "evomerge_bank": Quantity(
        kind="gauge",
        unit="bytes",
        tags=("worker", "kind"),
        description=(
            "Memory of a worker's bank: mapped (parents' files, which the workers of a node share),"
            " kept (adapters and statistics) and device (parents on an accelerator)."
        ),
    ),
}
"""By Ray's name of it, every metric of ours."""


@runtime_checkable
class Watched(Protocol):
    """An executor whose cluster shows what becomes of a search."""

    def show(self, readings: Iterable[Reading], message: str) -> None:
        """Show these values, and in a sentence where the search stands.

        Nothing is raised, and nothing is waited for.
        """


@runtime_checkable
class Measured(Protocol):
    """A worker that can tell more of itself than its reports do."""

    def readings(self) -> Sequence[Reading]:
        """Values of its own metrics, after a task; none of them has the worker's own tag."""
