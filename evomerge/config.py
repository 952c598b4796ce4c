"""The job: one YAML file is one search.

Reading a job resolves every name in the catalogs and every path, so that a resolved job is plain
data that means the same anywhere; a study keeps it and resumes from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, model_validator

from evomerge import catalog
from evomerge.cluster.config import ClusterConfig, RayConfig
from evomerge.cluster.registry import EXECUTORS
from evomerge.engines.config import EngineConfig
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.evaluators.objective import ObjectiveConfig
from evomerge.evaluators.registry import EVALUATORS, read_evaluator
from evomerge.optimizers.base import OptimizerConfig
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.plugins import settings
from evomerge.recipe.digest import plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import located, parse_recipe, read_mapping, read_recipe
from evomerge.search_spaces.dataflow import DataFlowSpaceConfig
from evomerge.search_spaces.parameter import ParameterSpaceConfig
from evomerge.search_spaces.segments import SegmentsSpaceConfig
from evomerge.value import Value, parse

__all__ = ["Budget", "Job", "Select", "WarmStart", "read_job"]


class Budget(Value):
    """When a search ends: at whichever comes first, or when the optimizer asks nothing new."""

    candidates: Annotated[int, Field(ge=1)] | None = None
    """Candidates in all, the warm starts among them."""
    evaluations: Annotated[int, Field(ge=1)] | None = None
    """Candidates that were evaluated: not those whose recipe had been scored before. In a space of
    choices an optimizer soon asks the same recipes again, which costs nothing."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Wall time of the search, over all sittings; candidates under way are finished."""

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if self.candidates is self.evaluations is self.seconds is None:
            raise ValueError("a budget needs candidates, evaluations or seconds")
        return self


class WarmStart(Value):
    """What is tried before the optimizer is asked, and told to it."""

    landmarks: bool = True
    """The space's own: the uniform merge and each parent."""
    genomes: tuple[Mapping[str, float | str], ...] = ()
    """Known good points: gene name -> value in the gene's own unit, every gene once."""
    recipes: tuple[Recipe, ...] = ()
    """Known good recipes that the space holds. A YAML file has a path or writes the recipe out."""


class Select(Value):
    """How the winner is chosen: finalists are scored on the validation split."""

    finalists: Annotated[int, Field(ge=1)] = 3
    """Best candidates of the search that go to the validation split."""
    recommendation: bool = True
    """The optimizer's own recommendation (CMA-ES: the distribution's mean) is a finalist too."""


class Job(Value):
    """A search, resolved: every name and path has become what it stands for."""

    name: str
    seed: int = 0
    sources: Mapping[str, Source]
    space: Annotated[
        ParameterSpaceConfig | DataFlowSpaceConfig | SegmentsSpaceConfig, Discriminator("kind")
    ]
    optimizer: Annotated[OptimizerConfig, settings(OPTIMIZERS, "optimizer")]
    evaluator: Annotated[EvaluatorConfig, settings(EVALUATORS, "evaluator")]
    objective: ObjectiveConfig = ObjectiveConfig()
    budget: Budget
    engine: EngineConfig = EngineConfig()
    cluster: Annotated[ClusterConfig, settings(EXECUTORS, "cluster")] = RayConfig()
    storage: str | None = None
    """A database URL for the record; None keeps a journal file in the study's folder."""
    warm_start: WarmStart = WarmStart()
    select: Select = Select()

    @model_validator(mode="after")
    def _some(self) -> Job:
        recipes = getattr(self.space, "recipes", {})
        if len(self.sources) + len(recipes) < 2:
            raise ValueError("sources: a search needs at least two sources")
        return self


def read_job(path: Path, *, catalog_folder: Path | None = None) -> Job:
    """The job in a YAML file, resolved.

    Raises:
        ConfigError: in one sentence naming file, key and law.
    """
    data = read_mapping(path)
    folder = path.resolve().parent
    for key, kind in _CATALOGS.items():
        if isinstance(data.get(key), str):
            entry = catalog.find(kind, data[key], folder=folder, catalog=catalog_folder)
            data[key] = read_mapping(entry)
            if key == "space":
                data[key] = _with_recipes(data[key], entry.parent, str(entry))
        elif key == "space" and isinstance(data.get(key), dict):
            data[key] = _with_recipes(data[key], folder, f"{path}: space")
    if "evaluator" in data:
        data["evaluator"] = read_evaluator(
            data["evaluator"],
            folder=folder,
            origin=f"{path}: evaluator",
            catalog_folder=catalog_folder,
        )
    if isinstance(data.get("warm_start"), dict):
        data["warm_start"] = _known(data["warm_start"], folder, f"{path}: warm_start")
    job = parse(Job, data, origin=str(path))
    sources = {name: located(source, folder) for name, source in job.sources.items()}
    return job.model_copy(update={"sources": sources})


_CATALOGS: Mapping[str, catalog.Kind] = {
    "space": "search_spaces",
    "cluster": "cluster",
}


def _known(warm_start: dict[str, Any], folder: Path, origin: str) -> dict[str, Any]:
    """Known recipes as plain data with absolute paths, whether in files or written out."""
    recipes = warm_start.get("recipes", ())
    if not isinstance(recipes, list):
        return warm_start
    found = [
        _recipe(one, folder, f"{origin}.recipes.{number}") for number, one in enumerate(recipes)
    ]
    return warm_start | {"recipes": found}


def _with_recipes(space: dict[str, Any], folder: Path, origin: str) -> dict[str, Any]:
    """A data-flow space whose inputs are recipes, in files or written out, as plain data."""
    recipes = space.get("recipes")
    if not isinstance(recipes, dict):
        return space
    found = {
        name: _recipe(one, folder, f"{origin}.recipes.{name}") for name, one in recipes.items()
    }
    return space | {"recipes": found}


def _recipe(one: Any, folder: Path, origin: str) -> dict[str, Any]:
    if isinstance(one, str):
        return plain(read_recipe(folder / one))
    return plain(parse_recipe(one, origin=origin, folder=folder))
