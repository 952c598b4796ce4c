"""The commands about a search: check it, run it, go on with it, look at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from evomerge import api
from evomerge.commands import tables
from evomerge.commands.arguments import AsJson, Candidate, Catalog, Folder, Quiet, Trust
from evomerge.commands.console import Output
from evomerge.commands.examples import ExampleChoice, show_examples
from evomerge.commands.terminal import Terminal
from evomerge.config import read_job
from evomerge.errors import ConfigError, EvomergeError, RecipeError
from evomerge.evaluators.base import Split
from evomerge.models.summary import ModelSummary
from evomerge.reading.files import is_file, is_there
from evomerge.recipe.tree import KINDS
from evomerge.recipe.yaml import read_mapping, read_recipe
from evomerge.searching.checks import check_new_study, look_at_cluster
from evomerge.searching.detecting import Expected, basis
from evomerge.searching.failures import current_halt
from evomerge.searching.forecast import Time, cost, time
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.study.fetching import local_study, named_study
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study

__all__ = ["check", "resume", "search", "show"]

TOP = 5
"""So many of the best candidates are shown."""


def check(
    file: Annotated[Path, typer.Argument(help="A job or a recipe.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder that a search would get; runs/NAME if left out.")
    ] = None,
    catalog_folder: Catalog = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Validate a job or a recipe without reading weights, and say what it would cost."""
    said = Output(quiet, as_json)
    with said.doing(f"checking {file}"):
        facts, models, warnings, remarks = _checked(file, out, catalog_folder)
    for warning in warnings:
        said.warn(warning)
    for remark in remarks:
        said.note(remark)
    data = facts | {"models": [{"names": names} | model.to_json() for names, model in models]}
    shown = facts | {"models": [f"{', '.join(names)}: {model}" for names, model in models]}
    if "time" in facts:
        took: Time | None = facts["time"]
        data["time"] = None if took is None else took.to_json()
        shown["time"] = "not known" if took is None else [took.sentence, f"({took.basis})"]
    if "smallest_difference" in facts:
        reckoned: Mapping[Split, Expected] = facts["smallest_difference"]
        data["smallest_difference"] = {split: own.to_json() for split, own in reckoned.items()}
        lines = [own.to_text(split) for split, own in reckoned.items()]
        shown["smallest_difference"] = [*lines, f"({basis()})"] if lines else "not known"
    said.facts(data, shown)


def _checked(
    file: Path, out: Path | None, catalog_folder: Path | None
) -> tuple[dict[str, Any], list[tuple[list[str], ModelSummary]], list[str], Sequence[str]]:
    """What a recipe or a job would take, what was found in its models, the warnings about it, and
    what else is worth knowing."""
    if read_mapping(file).get("kind") in KINDS:
        recipe = RecipePlan(read_recipe(file), str(file))
        warnings = recipe.check()
        for sentence in recipe.empty_rules:
            raise RecipeError(sentence)
        return {"recipe": str(file), "ok": True, **recipe.cost()}, recipe.summaries, warnings, ()
    plan = Plan(read_job(file, catalog_folder=catalog_folder), str(file))
    warnings = check_job(plan)
    for sentence in plan.empty_rules:
        raise ConfigError(sentence)
    folder = out or Path("runs") / plan.job.name
    if out is None and is_there(StudyFolder(folder).identity):
        warnings.append(f"{folder}: holds a study already; a new search needs --out")
    else:
        check_new_study(plan.job, folder, str(file))
    warnings += look_at_cluster(plan.job, plan.load, str(file))
    facts = {
        "job": plan.job.name,
        "ok": True,
        **cost(plan),
        "time": time(plan, folder),
        "smallest_difference": plan.detectable,
    }
    return facts, plan.summaries, warnings, plan.remarks


def search(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="The study's folder; runs/NAME where left out.")
    ] = None,
    catalog_folder: Catalog = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a search here or on the cluster that the job names; Ctrl-C stops it cleanly."""
    parsed = read_job(job, catalog_folder=catalog_folder)
    folder = out or Path("runs") / parsed.name
    is_ours = not is_there(StudyFolder(folder).identity)
    with _printed(folder, as_json and is_ours), _watched(folder, quiet, as_json) as terminal:
        api.search(parsed, folder, terminal, origin=str(job))


def resume(
    place: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|URL|JOB",
            callback=lambda given: local_study(given),
            help="A study's folder; the URL of one whose files are kept elsewhere; or its job's"
            " file, which says where its evaluator's files and its cluster are now.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Of a job's file: the study's folder; runs/NAME where left out."),
    ] = None,
    catalog_folder: Catalog = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Continue a study after any interruption; of a finished one the result is printed at once."""
    folder, job = place, None
    if is_file(place):
        job = read_job(place, catalog_folder=catalog_folder)
        folder = named_study(job.name, job.storage, job.artifacts, out)
    elif out is not None:
        raise ConfigError(f"--out {out}: goes with a job's file; {place} is the study's own folder")
    with _printed(folder, as_json), _watched(folder, quiet, as_json) as terminal:
        api.resume(folder, terminal, job=job)


@contextmanager
def _printed(folder: Path, as_json: bool) -> Iterator[None]:
    """Print the study as JSON in the end, also where candidates that failed have stopped it."""
    try:
        yield
    except EvomergeError:
        if as_json and _has_stopped(folder):
            _print_study(folder, TOP)
        raise
    if as_json:
        _print_study(folder, TOP)


def _has_stopped(folder: Path) -> bool:
    if not is_there(StudyFolder(folder).identity):
        return False
    with Study.open(folder, write=False) as study:
        return current_halt(study) is not None


def _watched(folder: Path, quiet: bool, as_json: bool) -> Terminal:
    """Where a search is shown: where a program reads stdout, on stderr."""
    screen = tables.err if as_json else tables.out
    return Terminal(folder, screen, quiet=quiet, result=not as_json)


def _print_study(folder: Path, top: int) -> None:
    with Study.open(folder, write=False) as study:
        Output(as_json=True).print_json(tables.study_as_data(study, top))


def show(
    folder: Folder,
    top: Annotated[int, typer.Option(min=1, help="How many candidates.")] = TOP,
    examples: Annotated[
        bool, typer.Option("--examples", help="Show what was answered, example by example.")
    ] = False,
    candidate: Candidate = None,
    split: Annotated[
        Split | None, typer.Option(help="Examples of this split; the last one scored if left out.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Examples of this task only.")] = None,
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Only the examples that are wrong.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Most examples.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the best candidates and the comparison on the holdout, or with --examples answers."""
    with Study.open(folder, write=False) as study:
        if examples:
            wanted = ExampleChoice(
                candidate=candidate, split=split, task=task, wrong=wrong, limit=limit
            )
            show_examples(study, wanted, as_json=as_json, out=tables.out)
        elif as_json:
            Output(as_json=True).print_json(tables.study_as_data(study, top))
        else:
            tables.show_study(study, top)
