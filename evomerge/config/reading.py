"""A job's file read, every name and path in it resolved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.cluster.registry import EXECUTORS, read_cluster
from evomerge.config.job import Job
from evomerge.config.warm_start import Basis
from evomerge.errors import ConfigError, about
from evomerge.evaluators.registry import EVALUATORS, read_evaluator
from evomerge.faults import describe
from evomerge.models.importance import read_importance
from evomerge.reading.files import expanded, resolved
from evomerge.recipe.file_kind import instead_of_a_job
from evomerge.recipe.yaml import inline_recipe, located, read_mapping
from evomerge.recipe.yaml_reading import read_text
from evomerge.search_spaces.base import SpaceConfig
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.search_spaces.registry import SPACES, read_space
from evomerge.study.earlier import elites, public_sets, scored_genes
from evomerge.study.record import Study
from evomerge.study.remarks import named_in_comments
from evomerge.value import parse

__all__ = ["read_job", "resolve_job"]


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
    marks: list[str] = []
    if isinstance(data.get("warm_start"), dict):
        written = _with_recipes(data["warm_start"], folder, f"{origin}: warm_start", marks)
        data["warm_start"] = _with_solutions(written, folder, f"{origin}: warm_start", marks)
    if isinstance(data.get("basis"), dict) and isinstance(data.get("space"), SpaceConfig):
        data["space"] = _on_elites(data["space"], data["basis"], folder, origin, marks)
    if marks:
        data["earlier_test_sets"] = list(dict.fromkeys(marks))
    job = parse(Job, data, origin=origin)
    with about(origin):
        _check_names(job)
    reuse = tuple(str((folder / expanded(named)).absolute()) for named in job.reuse)
    sources = {}
    for name, source in job.sources.items():
        with about(f"{origin}: sources.{name}"):
            sources[name] = located(source, folder)
    return job.model_copy(update={"sources": sources, "reuse": reuse})


def _with_recipes(
    warm_start: dict[str, Any], folder: Path, origin: str, marks: list[str]
) -> dict[str, Any]:
    """Known recipes as plain data with absolute paths, whether in files or written out.

    `marks`: hears on which public test sets those in files were found.
    """
    recipes = warm_start.get("recipes", ())
    if not isinstance(recipes, list):
        return warm_start
    read = [
        inline_recipe(written, origin=f"{origin}.recipes.{number}", folder=folder)
        for number, written in enumerate(recipes)
    ]
    for written in recipes:
        if isinstance(written, str):
            marks += named_in_comments(read_text(folder / written))
    return warm_start | {"recipes": read}


def _with_solutions(
    warm_start: dict[str, Any], folder: Path, origin: str, marks: list[str]
) -> dict[str, Any]:
    """What the other study has found, so that a resumed search begins where it began.

    `marks`: as in `_with_recipes`.
    """
    study = warm_start.get("study")
    if not isinstance(study, str) or warm_start.get("solutions"):
        return warm_start
    with about(f"{origin}.study"):
        place = resolved(folder / expanded(study))
        with Study.open(place, write=False) as earlier:
            pairs = scored_genes(earlier)
            marks += public_sets(earlier)
    solutions = [{"genes": dict(genes), "fitness": fitness} for genes, fitness in pairs]
    return warm_start | {"study": str(place), "solutions": solutions}


def _on_elites(
    space: SpaceConfig, basis: dict[str, Any], folder: Path, origin: str, marks: list[str]
) -> SpaceConfig:
    """The space over the best recipes of another study, which it holds from then on.

    `marks`: as in `_with_recipes`.
    """
    wanted = parse(Basis, basis, origin=f"{origin}: basis")
    if not isinstance(space, ParameterSpaceConfig):
        raise ConfigError(f"{origin}: basis: goes with a space of kind parameter")
    if space.recipes:  # a job that was read before
        return space
    with about(f"{origin}: basis.study"):
        place = resolved(folder / expanded(wanted.study))
        with Study.open(place, write=False) as earlier:
            best = elites(earlier, wanted.elites)
            marks += public_sets(earlier)
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
