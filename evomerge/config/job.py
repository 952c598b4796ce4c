"""The job as plain data: what is merged, how it is searched, and on what it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from evomerge.cluster.config import ClusterConfig, RayConfig
from evomerge.cluster.registry import EXECUTORS
from evomerge.config.budget import Budget
from evomerge.config.schedule import SCHEDULES, ScheduleConfig, WholeConfig
from evomerge.config.select import Select
from evomerge.config.warm_start import Basis, WarmStart
from evomerge.engines.config import EngineConfig, EngineSettings
from evomerge.engines.factory import ENGINES
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.evaluators.registry import EVALUATORS
from evomerge.models.importance import Importance
from evomerge.optimizers.base import OptimizerConfig
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.plugins import settings
from evomerge.recipe.source import Source
from evomerge.search_spaces.base import SpaceConfig
from evomerge.search_spaces.registry import SPACES
from evomerge.value import Value

__all__ = ["Job", "Opponent"]


def _alone(target: object) -> object:
    """One name is short for a list of one."""
    return [target] if isinstance(target, str) else target


Opponent = Literal["random", "soup", "task_arithmetic"]
"""A search beside the search."""


class Job(Value):
    """A search, resolved: every name and path has become what it stands for."""

    name: str
    """What the study is called."""
    seed: int = 0
    """Of the optimizer's draws: the same job with the same seed asks the same."""
    sources: Mapping[str, Source]
    """The models, by the names that the rest of the job calls them."""
    space: Annotated[SpaceConfig, settings(SPACES, "space", catalogued=True)]
    """Which recipes the search is over: a catalog name, or settings with the space's `kind`."""
    optimizer: Annotated[OptimizerConfig, settings(OPTIMIZERS, "optimizer")]
    """What asks for candidates: a name, or settings with the optimizer's `kind`."""
    evaluator: Annotated[EvaluatorConfig, settings(EVALUATORS, "evaluator", catalogued=True)]
    """What candidates are scored on: a catalog name, or settings with the evaluator's `kind`."""
    objective: ObjectiveConfig = ObjectiveConfig()
    """How a report becomes the fitness."""
    budget: Budget
    """When the search ends."""
    schedule: Annotated[ScheduleConfig, settings(SCHEDULES, "schedule")] = WholeConfig()
    """In which parts a candidate is evaluated: a name, or settings with the schedule's `kind`."""
    engine: Annotated[EngineSettings, settings(ENGINES, "engine")] = EngineConfig()
    """What runs the models, and how."""
    cluster: Annotated[ClusterConfig, settings(EXECUTORS, "cluster", catalogued=True)] = RayConfig()
    """Where candidates are evaluated: a catalog name, or settings with the executor's `kind`."""
    storage: str | None = None
    """A database URL for the record; None keeps a journal file in the study's folder."""
    artifacts: str | None = None
    """Beside a database, the URL of a folder below which the study's files are kept under its name:
    file:///shared/runs, s3://bucket/runs or any other of fsspec, or env:NAME. Then a driver on
    another machine goes on from both. None: the study's folder."""
    reuse: Annotated[
        tuple[str, ...], BeforeValidator(_alone, json_schema_input_type=str | list[str])
    ] = ()
    """Folders of other studies, or of folders of studies, such as `runs`: what they have scored of
    the same recipe with the same evaluator is not evaluated again."""
    warm_start: WarmStart = WarmStart()
    """What is tried before the optimizer is asked."""
    basis: Basis | None = None
    """Another study in parameter space whose best recipes become the parents (`space.recipes`): the
    next round of a search whose recipes nest."""
    earlier_test_sets: tuple[str, ...] = Field(default=(), exclude_if=lambda named: not named)
    """What of the data behind `basis` and `warm_start` was a benchmark's own test set. Leave it
    out: it is read from their records and files."""
    importance: Importance | None = Field(default=None, exclude_if=lambda held: held is None)
    """Which layers and components are expected to matter: a prior for `bayes`,
    `catcma`, `cma_es`, `cma_niches` and `genetic`."""
    select: Select = Select()
    """How the winner is chosen when the search is over."""
    compare: tuple[Opponent, ...] = Field(default=(), exclude_if=lambda held: not held)
    """Searches of the same cost that it is compared with: `random` in the same space, a greedy
    `soup` of the parents, `task_arithmetic` with a strength for each parent. Each is a study of
    its own in the study's folder, below `compare`."""

    @model_validator(mode="after")
    def _some(self) -> Job:
        if len(self.space.known_inputs(self.sources)) < 2:
            raise ValueError("sources: a search needs at least two sources")
        for place, name in enumerate(self.compare):
            if name in self.compare[:place]:
                raise ValueError(f"compare: {name} stands there twice")
        return self

    @model_validator(mode="after")
    def _beside_a_database(self) -> Job:
        if self.artifacts is not None and self.storage is None:
            raise ValueError(
                "artifacts: go with a database (storage: postgresql://...), since a journal lies in"
                " the study's folder; or leave them out and give --out a folder on a shared disk"
            )
        return self

    @property
    def code(self) -> tuple[str, ...]:
        """What of the job would run code: the user has to consent to it (`evomerge.trust`)."""
        return (*self.evaluator.code, *self.engine.code, *self.cluster.code)

    @property
    def test_sets(self) -> tuple[str, ...]:
        """What a winner owes to benchmarks' own test sets: of this search's data, and of those that
        it takes up from."""
        return tuple(dict.fromkeys((*self.evaluator.test_sets(), *self.earlier_test_sets)))

    @model_validator(mode="after")
    def _aim(self) -> Job:
        objectives = self.objective.names
        if self.budget.target and len(self.budget.target) != len(objectives):
            raise ValueError(
                f"budget.target: one number for each objective ({', '.join(objectives)}) is wanted,"
                f" got {len(self.budget.target)}"
            )
        return self
