"""The job: one YAML file is one search.

Reading a job resolves every name in the catalogs and every path, so that a resolved job is plain
data that means the same anywhere; a study keeps it and resumes from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evomerge.cluster.config import ClusterConfig, RayConfig
from evomerge.cluster.registry import EXECUTORS, read_cluster
from evomerge.engines.config import EngineConfig, EngineSettings
from evomerge.engines.factory import ENGINES
from evomerge.errors import ConfigError, about
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.evaluators.registry import EVALUATORS, read_evaluator
from evomerge.faults import describe
from evomerge.models.importance import Importance, read_importance
from evomerge.optimizers.base import OptimizerConfig
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.plugins import Factory, Registry, settings
from evomerge.reading.files import expanded, resolved
from evomerge.recipe.file_kind import instead_of_a_job
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import inline_recipe, located, read_mapping
from evomerge.search_spaces.base import SpaceConfig
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.search_spaces.registry import SPACES, read_space
from evomerge.study.earlier import elites, scored_genes
from evomerge.value import Value, parse

__all__ = [
    "SCHEDULES",
    "Basis",
    "Budget",
    "Job",
    "Opponent",
    "ScheduleConfig",
    "Select",
    "Solution",
    "WarmStart",
    "WholeConfig",
    "read_job",
    "resolve_job",
]


def _as_many(target: object) -> object:
    """One number is short for a list of one."""
    return [target] if isinstance(target, int | float) and not isinstance(target, bool) else target


def _alone(target: object) -> object:
    """One name is short for a list of one."""
    return [target] if isinstance(target, str) else target


class Budget(Value):
    """When a search ends: at whichever comes first, or when the optimizer asks nothing new."""

    candidates: Annotated[int, Field(ge=1)] | None = None
    """Candidates in all, the warm starts among them."""
    evaluations: Annotated[int, Field(ge=1)] | None = None
    """Candidates that were evaluated: not those whose recipe had been scored before. In a space of
    choices an optimizer soon asks the same recipes again, which costs nothing."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Wall time of the search, over all sittings; candidates under way are finished."""
    target: (
        Annotated[
            tuple[float, ...],
            Field(min_length=1),
            BeforeValidator(_as_many, json_schema_input_type=float | list[float]),
        ]
        | None
    ) = None
    """A fitness on the search split: the first candidate that has it ends the search. Of several
    objectives a list, all of which one candidate has to reach; layers count negatively."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """So many evaluated candidates of the optimizer, one after the other, without a better best end
    the search. Of several objectives: without one that no other beats in all of them."""

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if self.candidates is self.evaluations is self.seconds is None:
            raise ValueError(
                "a budget needs candidates, evaluations or seconds, and may have a target and"
                " patience beside them"
            )
        return self


class ScheduleConfig(Value):
    """Settings of a schedule; each kind has a class of its own, derived from this."""

    kind: str
    """The schedule's name in the registry."""


class WholeConfig(ScheduleConfig):
    """Every candidate is evaluated on the whole search split, at once."""

    kind: Literal["whole"] = "whole"


SCHEDULES: Registry[Factory] = Registry(
    role="schedule",
    group="evomerge.schedules",
    built_in={
        "estimated": "evomerge.searching.estimated:Estimated",
        "halving": "evomerge.searching.schedules.halving:Halving",
        "hyperband": "evomerge.searching.schedules.halving:Hyperband",
        "racing": "evomerge.searching.schedules.racing:Racing",
        "whole": "evomerge.searching.schedule:Whole",
    },
    default="whole",
)
"""Schedules by kind. An entry is called with its settings, `sizes` (task -> examples of the search
split, as far as they are known) and the job's `seed`; one whose `needs_objective` is true with the
job's `objective`, too."""


class Solution(Value):
    """A candidate of another study."""

    genes: Mapping[str, float | str]
    """Gene name -> value in the gene's own unit."""
    fitness: float
    """On that study's search split."""


class Basis(Value):
    """A study whose best recipes are this search's parents."""

    study: str
    """The study's folder."""
    elites: Annotated[int, Field(ge=2)] = 3
    """How many of its best recipes, no two alike, become parents: `elite1`, `elite2` and so on."""


class WarmStart(Value):
    """What is tried before the optimizer is asked, and told to it."""

    landmarks: bool = True
    """The space's own: the uniform merge and each parent."""
    genomes: tuple[Mapping[str, float | str], ...] = ()
    """Known good points: gene name -> value in the gene's own unit, every gene once."""
    recipes: tuple[Recipe, ...] = ()
    """Known good recipes that the space holds. A YAML file has a path or writes the recipe out."""
    sparsified: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Also each parent alone with this share of its changes kept, where the method has a density
    and it is a gene."""
    sums: bool = Field(default=False, exclude_if=lambda asked: not asked)
    """Also the plain sum of all task vectors, each parent at weight 1, and with up to 5 parents the
    sum of each pair, in a parameter space with a base and weights as genes."""
    study: str | None = None
    """The folder of another study over genes of the same names, on another task or other examples:
    cma_es begins where the best tenth of its candidates lies. Nothing of it counts as evaluated."""
    solutions: tuple[Solution, ...] = ()
    """What that study had found when the job was read."""


class Select(Value):
    """How the winner is chosen: finalists are scored on the validation split."""

    finalists: Annotated[int, Field(ge=1)] = 3
    """Best candidates of the search that go to the validation split."""
    recommendation: bool = True
    """The optimizer's own recommendation (CMA-ES: the distribution's mean) is a finalist too."""
    tune_baselines: bool = True
    """Task arithmetic is also compared with its strength tuned on the validation split, over all
    parents and over those that carry weight in the winner: at most 12 evaluations there."""
    detect: Annotated[float, Field(gt=0)] | None = Field(
        default=None, exclude_if=lambda gain: gain is None
    )
    """The smallest gain in fitness that is worth finding: `check` warns where validation or holdout
    have too few examples to show it."""


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
    importance: Importance | None = Field(default=None, exclude_if=lambda held: held is None)
    """Which layers and components are expected to matter: a prior for `cma_es` and `bayes`."""
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
        if len(set(self.compare)) != len(self.compare):
            raise ValueError("compare: a search stands there twice")
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

    @model_validator(mode="after")
    def _aim(self) -> Job:
        objectives = self.objective.names
        if self.budget.target and len(self.budget.target) != len(objectives):
            raise ValueError(
                f"budget.target: one number for each objective ({', '.join(objectives)}) is wanted,"
                f" got {len(self.budget.target)}"
            )
        return self


def read_job(path: Path, *, catalog_folder: Path | None = None) -> Job:
    """The job in a YAML file, resolved.

    Raises:
        UserError: in one sentence naming file, key and law; where the file is a recipe, what to do
            with it.
    """
    data = read_mapping(path)
    if other := _no_job(data, path):
        raise ConfigError(f"{path}: {other}")
    folder = resolved(path).parent
    return resolve_job(data, folder=folder, origin=str(path), catalog_folder=catalog_folder)


def resolve_job(
    data: Mapping[str, Any], *, folder: Path, origin: str, catalog_folder: Path | None = None
) -> Job:
    """The job that plain data describes, every name and path in it resolved.

    `folder`: what relative paths are relative to. `origin`: what messages call the job.

    Raises:
        UserError: in one sentence that starts with `origin`, naming key and law.
    """
    data = dict(data)
    if "space" in data:
        data["space"] = read_space(
            data["space"],
            folder=folder,
            origin=origin,
            key="space",
            catalog_folder=catalog_folder,
        )
    if "evaluator" in data:
        data["evaluator"] = read_evaluator(
            data["evaluator"],
            folder=folder,
            origin=f"{origin}: evaluator",
            catalog_folder=catalog_folder,
        )
    if isinstance(data.get("cluster"), str):
        with about(f"{origin}: cluster"):
            data["cluster"] = read_cluster(data["cluster"], folder=folder, catalog=catalog_folder)
    if data.get("importance") is not None:
        data["importance"] = read_importance(
            data["importance"], folder=folder, origin=f"{origin}: importance"
        )
    if isinstance(data.get("warm_start"), dict):
        data["warm_start"] = _with_recipes(data["warm_start"], folder, f"{origin}: warm_start")
        data["warm_start"] = _with_solutions(data["warm_start"], folder, f"{origin}: warm_start")
    if isinstance(data.get("basis"), dict) and isinstance(data.get("space"), SpaceConfig):
        data["space"] = _on_elites(data["space"], data["basis"], folder, origin)
    job = parse(Job, data, origin=origin)
    with about(origin):
        _check_names(job)
    reuse = tuple(str((folder / expanded(named)).absolute()) for named in job.reuse)
    sources = {}
    for name, source in job.sources.items():
        with about(f"{origin}: sources.{name}"):
            sources[name] = located(source, folder)
    return job.model_copy(update={"sources": sources, "reuse": reuse})


def _with_recipes(warm_start: dict[str, Any], folder: Path, origin: str) -> dict[str, Any]:
    """Known recipes as plain data with absolute paths, whether in files or written out."""
    recipes = warm_start.get("recipes", ())
    if not isinstance(recipes, list):
        return warm_start
    read = [
        inline_recipe(written, origin=f"{origin}.recipes.{number}", folder=folder)
        for number, written in enumerate(recipes)
    ]
    return warm_start | {"recipes": read}


def _with_solutions(warm_start: dict[str, Any], folder: Path, origin: str) -> dict[str, Any]:
    """What the other study has found, so that a resumed search begins where it began."""
    study = warm_start.get("study")
    if not isinstance(study, str) or warm_start.get("solutions"):
        return warm_start
    with about(f"{origin}.study"):
        place = resolved(folder / expanded(study))
        pairs = scored_genes(place)
    solutions = [{"genes": dict(genes), "fitness": fitness} for genes, fitness in pairs]
    return warm_start | {"study": str(place), "solutions": solutions}


def _on_elites(space: SpaceConfig, basis: dict[str, Any], folder: Path, origin: str) -> SpaceConfig:
    """The space over the best recipes of another study, which it holds from then on."""
    wanted = parse(Basis, basis, origin=f"{origin}: basis")
    if not isinstance(space, ParameterSpaceConfig):
        raise ConfigError(f"{origin}: basis: goes with a space of kind parameter")
    if space.recipes:  # a job that was read before
        return space
    with about(f"{origin}: basis.study"):
        best = elites(resolved(folder / expanded(wanted.study)), wanted.elites)
    return space.model_copy(update={"recipes": best, "parents": tuple(best)})


def _check_names(job: Job) -> None:
    """The job's name may be a folder's (`runs/NAME`), and names can be read in one line. Checked
    where a file is read: older studies are shown and resumed whatever they are called.
    """
    name = job.name
    if not name.strip() or name != name.strip() or name.startswith(".") or len(name) > 100:
        law = (
            "must be the name of a folder (runs/NAME): 1 to 100 characters, no space at the ends,"
            " no dot in front"
        )
        raise ConfigError(f"name: {law}, got {describe(name)}")
    if any(letter in "/\\" or not letter.isprintable() for letter in name):
        law = "must be the name of a folder (runs/NAME), without '/', '\\' and control characters"
        raise ConfigError(f"name: {law}, got {describe(name)}; `search --out DIR` names a place")
    for source in job.sources:
        if not source.strip() or not source.isprintable():
            raise ConfigError(f"sources: a name is empty or cannot be printed, got {source!r}")


def _no_job(data: Mapping[str, Any], path: Path) -> str | None:
    """What the file is if it is no job; None where it may be one."""
    kind = data.get("kind")
    known = {"space": SPACES.known, "evaluator": EVALUATORS.known, "cluster": EXECUTORS.known}
    for key, kinds in known.items():
        if kind in kinds:
            return f"a job is wanted, and this is its {key} alone; write `{key}: {path}` in a job"
    return instead_of_a_job(data, path)
