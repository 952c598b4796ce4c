"""What a job would cost: memory, disk, evaluations and time, before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evomerge.cluster.checks import workers_expected
from evomerge.cluster.config import ClusterConfig, RayConfig
from evomerge.cluster.fitting import fitted, kinds_of
from evomerge.cluster.footprint import footprint
from evomerge.config import WholeConfig
from evomerge.engines.config import EngineSettings
from evomerge.errors import EvomergeError
from evomerge.reading.files import is_there
from evomerge.searching.estimate import (
    CPU_CORE,
    GPU,
    Span,
    Work,
    candidate_seconds,
    duration,
    measured_seconds,
    search_seconds,
)
from evomerge.searching.plan import Plan
from evomerge.searching.rivals import evaluations
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.wording import count

__all__ = ["Time", "cost", "time"]

GIB = 2**30
PHASES = ("merge_and_load", "evaluate")
"""Of a candidate's seconds those that make up the whole; others are parts of these."""


def cost(plan: Plan) -> dict[str, float | int]:
    """What a search would take, as far as headers and budgets tell: counts, and sizes in GiB.

    The comparison at its end counts too: finalists and tuned baselines on the validation split,
    the winner and its rivals on the holdout.

    Raises:
        UserError: the space cannot be built, or a source cannot be read.
    """
    made, models = plan.made, plan.load.models
    takes = [footprint(models, kind, engine) for kind, engine in _kinds(plan)]
    on_gpu = max(own.gpu for own in takes)
    validation, holdout = _comparison(plan)
    return {
        "parameters": made.parameters,
        "genes": len(plan.space.genes),
        "candidates": _budget(plan),
        "validation_evaluations_at_most": validation,
        "holdout_evaluations_at_most": holdout,
        "parents_gib": round(models.parents / GIB, 2),
        "memory_gib_per_worker": round(max(own.worker for own in takes) / GIB, 2),
        **({"weights_gib_per_gpu": round(on_gpu / GIB, 2)} if on_gpu else {}),
        "disk_gib": round(made.size / GIB, 2),
    }


@dataclass(frozen=True)
class Time:
    """What a search takes of time, and how that was reckoned."""

    candidate: Span
    """Seconds of one candidate."""
    search: Span | None
    """Seconds of the whole search; None where its budget does not say."""
    workers: int | None
    """Workers that it was divided by; None: not known before they come."""
    basis: str
    """How it was reckoned, for a person."""
    spared_by: str | None = None
    """The schedule by which a candidate may end before all examples: then both times are the most
    that it comes to. None where each candidate is scored on all."""

    @property
    def sentence(self) -> str:
        """For a person, without the basis: `20 s to 3 min a candidate, 1 to 9 h in all`."""
        said = f"{duration(self.candidate)} a candidate"
        if self.spared_by is not None:
            said += " that is scored whole"
        if self.search is None:
            return said
        how = "divided by the workers" if self.workers is None else f"with {_named(self.workers)}"
        whole = f"{duration(self.search)} in all {how}"
        if self.spared_by is None:
            return f"{said}, {whole}"
        return f"{said}, at most {whole}: {self.spared_by} may spare examples"

    def to_json(self) -> dict[str, Any]:
        """Plain data: seconds, from the least to the most that is likely."""
        whole = self.search
        return {
            "seconds_per_candidate": [self.candidate.low, self.candidate.high],
            "seconds": None if whole is None else [whole.low, whole.high],
            "workers": self.workers,
            "at_most": self.spared_by is not None,
            "reckoned": self.basis,
        }


def time(plan: Plan, earlier: Path | None = None) -> Time | None:
    """How long the search will take; None where nothing tells how many examples there are.

    `earlier`: the folder of a study of the same job, whose candidates were measured; where there is
    none, it is reckoned from parameters and tokens.
    """
    examples = sum(plan.sizes.values())
    measured = [] if earlier is None else _measured(plan, earlier)
    if not measured and not examples:
        return None
    kinds = _kinds(plan)
    if measured:
        each = [measured_seconds(measured)] * len(kinds)
        basis = f"measured: {count(len(measured), 'candidate')} of {earlier}"
    else:
        work = Work(examples)
        moved = plan.load.models.parents + plan.made.size
        each = [_reckoned(plan.made.parameters, moved, work, kind) for kind, _ in kinds]
        devices = " and ".join(dict.fromkeys(_device(kind) for kind, _ in kinds))
        basis = (
            f"{count(examples, 'example')} of {work.read.low:.0f} to {work.read.high:,.0f} tokens"
            f" with answers of up to {work.generated.high:.0f}, two operations a parameter and"
            f" token, on {devices} a worker; a few candidates measure it better"
        )
    numbers = [workers_expected(kind) for kind, _ in kinds]
    known = [number or 1 for number in numbers]
    wanted = _wanted(plan, examples)
    whole = search_seconds(wanted, list(zip(known, each, strict=True))) if wanted else None
    workers = None if None in numbers else sum(known)
    low, high = min(own.low for own in each), max(own.high for own in each)
    schedule = plan.job.schedule
    spared_by = None if isinstance(schedule, WholeConfig) else schedule.kind
    return Time(Span(low, high), whole, workers, basis, spared_by)


def _kinds(plan: Plan) -> Sequence[tuple[ClusterConfig, EngineSettings]]:
    return kinds_of(*fitted(plan.job.cluster, plan.job.engine))


def _budget(plan: Plan) -> int:
    """Candidates at most; 0 where only seconds are given."""
    return plan.job.budget.candidates or plan.job.budget.evaluations or 0


def _comparison(plan: Plan) -> tuple[int, int]:
    """Evaluations at most on the validation split and on the holdout."""
    budget, select = _budget(plan), plan.job.select
    finalists = min(select.finalists, budget or select.finalists) + select.recommendation
    tuning, rivals = evaluations(
        plan.baselines, plan.space.plain_merges, tune=select.tune_baselines
    )
    return finalists + tuning, 1 + rivals


def _wanted(plan: Plan, examples: int) -> float:
    """Evaluations in all, in those of the search split: the others have fewer or more examples."""
    budget = _budget(plan)
    if not budget or not examples:
        return budget
    validation, holdout = _comparison(plan)
    sizes = plan.job.evaluator.sizes
    more = validation * sum(sizes("validation").values())
    more += holdout * sum(sizes("holdout").values())
    return budget * (1 + len(plan.job.compare)) + more / examples


def _reckoned(parameters: int, moved: int, work: Work, kind: ClusterConfig) -> Span:
    if gpus := kind.gpus_per_worker:
        return candidate_seconds(parameters, moved, work, GPU, gpus)
    return candidate_seconds(parameters, moved, work, CPU_CORE, _cores(kind))


def _cores(kind: ClusterConfig) -> float:
    """Of one worker; one in the driver's process has all of the machine."""
    return kind.cpus_per_worker if isinstance(kind, RayConfig) else os.cpu_count() or 1


def _device(kind: ClusterConfig) -> str:
    if gpus := kind.gpus_per_worker:
        return f"{gpus:g} GPU between an L4 and an H100"
    return f"{_cores(kind):g} CPU"


def _measured(plan: Plan, folder: Path) -> list[float]:
    """Seconds that each candidate took of a study with this evaluator; none where there is none."""
    if not is_there(StudyFolder(folder).identity):
        return []
    try:
        with Study.open(folder, write=False) as study:
            if study.get("evaluator") != plan.evaluator:
                return []
            return [
                sum(own.seconds.get(phase, 0.0) for phase in PHASES)
                for own in study.candidates()
                if own.seconds and not own.stages
            ]
    except EvomergeError:  # it is damaged, say, or its database is away, which `show` tells
        return []


def _named(workers: int) -> str:
    return count(workers, "worker")
