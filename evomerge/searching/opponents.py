"""Searches that the search has to beat: their jobs, made from its own."""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.config import Job, Opponent, WarmStart, WholeConfig
from evomerge.errors import ConfigError
from evomerge.optimizers.greedy_soup import GreedySoupConfig
from evomerge.optimizers.optuna import OptunaConfig
from evomerge.optimizers.populations.random_merge import RandomMergeConfig
from evomerge.optimizers.random import RandomConfig
from evomerge.search_spaces.base import SearchSpace
from evomerge.search_spaces.baselines import PlainMerges
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig

__all__ = ["LABELS", "opponent_job"]

LABELS: dict[Opponent, str] = {
    "random": "random search (equal cost)",
    "soup": "greedy soup (equal cost)",
    "task_arithmetic": "task arithmetic (equal cost)",
}
"""What their winners are called in the comparison."""


def opponent_job(name: Opponent, job: Job, space: SearchSpace) -> Job:
    """The job of an opponent: the same sources, evaluator, engine, seed and warm starts.

    `random` searches the same space at random. `soup` is a greedy soup of the parents, and
    `task_arithmetic` spreads points evenly over a strength for each parent: spaces of their own,
    whose landmarks are tried first as those of any other.

    Raises:
        ConfigError: the parents are not weights to be merged, or task arithmetic has no base.
    """
    changes = {
        "name": f"{job.name}-{name}",
        "compare": (),
        "schedule": WholeConfig(),
        "storage": None,
        "artifacts": None,
        # What another study found is for optimizers that learn from it.
        "warm_start": job.warm_start.model_copy(update={"study": None, "solutions": ()}),
    }
    match name:
        case "random":
            random = RandomConfig() if space.seed_pool is None else RandomMergeConfig()
            return job.model_copy(update=changes | {"optimizer": random})
        case "soup":
            merges = _merges(name, job, space)
            changes["space"] = _space(merges, "linear", {})
            # It goes input by input, and by one number.
            changes["objective"] = job.objective.model_copy(update={"objectives": (), "also": ()})
            changes["optimizer"] = GreedySoupConfig()
        case "task_arithmetic":
            merges = _merges(name, job, space)
            if merges.base is None:
                raise ConfigError(
                    "compare: task_arithmetic needs a base, and the search space has none"
                )
            changes["space"] = _space(merges, "task_arithmetic", {"lambda": 1.0})
            changes["optimizer"] = OptunaConfig(sampler="QMCSampler")
    # What else was known is of another space.
    changes["warm_start"] = WarmStart(landmarks=job.warm_start.landmarks)
    return job.model_copy(update=changes)


def _merges(name: Opponent, job: Job, space: SearchSpace) -> PlainMerges:
    merges = space.plain_merges
    if merges is None or space.capacity is not None:
        raise ConfigError(
            f"compare: {name} merges weights, and the space {job.space.kind} does not; take random"
        )
    strange = [parent for parent in merges.parents if parent not in job.sources]
    if strange:
        raise ConfigError(
            f"compare: {name} merges sources, and {strange[0]} is a recipe of the space; take"
            " random"
        )
    return merges


def _space(merges: PlainMerges, method: str, options: Mapping[str, float]) -> ParameterSpaceConfig:
    """One weight from 0 to 1 for each parent, the same in all layers."""
    return ParameterSpaceConfig(
        kind="parameter",
        base=merges.base[0] if merges.base else None,
        parents=tuple(merges.parents),
        method=method,
        genes={"weight": (0.0, 1.0)},
        options=options,
        tokenizer=merges.tokenizer,
    )
