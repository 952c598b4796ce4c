"""The command line: a thin layer over `evomerge.api` and `evomerge.writers`.

Exit codes: 0 done, 2 the input was wrong (one sentence on stderr), 130 interrupted, 1 anything
else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge import api, writers
from evomerge.commands import console, tables
from evomerge.commands import writers as writing
from evomerge.commands.arguments import (
    OLDER_NAMES,
    AsJson,
    Candidate,
    Catalog,
    Dtype,
    Folder,
    Trust,
)
from evomerge.commands.catalog import list_catalog
from evomerge.commands.examples import ExampleChoice, check_free, show_examples, write_samples
from evomerge.commands.schema import print_schema
from evomerge.config import read_job
from evomerge.engines.config import EngineConfig
from evomerge.errors import EvomergeError, UserError
from evomerge.evaluators.base import Split
from evomerge.evaluators.registry import read_evaluator
from evomerge.interchange import convert as conversion
from evomerge.recipe.named import recipe_named
from evomerge.recipe.tree import KINDS
from evomerge.recipe.yaml import read_mapping, read_recipe
from evomerge.searching.checks import check_new_study, look_at_cluster
from evomerge.searching.plan import Plan
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"token_normalize_func": lambda name: OLDER_NAMES.get(name, name)},
    help="Search for the recipe that merges fine-tuned siblings of one model into a better one.",
)

Engine = Annotated[
    Literal["auto", "transformers", "vllm"], typer.Option(help="What runs the model.")
]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A job or a recipe.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder that a search would get; runs/NAME if left out.")
    ] = None,
    catalog_folder: Catalog = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Validate a job or a recipe without reading weights, and say what it would cost."""
    data = read_mapping(file)
    if data.get("kind") in KINDS:
        recipe = RecipePlan(read_recipe(file), str(file))
        for warning in recipe.check():
            console.warn(warning)
        console.emit({"recipe": str(file), "ok": True, **recipe.cost()}, as_json)
        return
    plan = Plan(read_job(file, catalog_folder=catalog_folder), str(file))
    for warning in plan.check():
        console.warn(warning)
    folder = out or Path("runs") / plan.job.name
    if out is None and StudyFolder(folder).identity.exists():
        console.warn(f"{folder}: holds a study already; a new search needs --out")
    else:
        check_new_study(plan.job, folder, str(file))
    for warning in look_at_cluster(plan.job):
        console.warn(warning)
    for remark in plan.remarks:
        console.remark(remark)
    console.emit({"job": plan.job.name, "ok": True, **plan.cost()}, as_json)


@app.command()
def search(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="The study's folder; runs/NAME where left out.")
    ] = None,
    catalog_folder: Catalog = None,
    trust: Trust = False,
) -> None:
    """Run a search here or on the cluster that the job names; Ctrl-C stops it cleanly."""
    parsed = read_job(job, catalog_folder=catalog_folder)
    folder = out or Path("runs") / parsed.name
    with console.Terminal(folder) as terminal:
        api.search(parsed, folder, terminal, origin=str(job))


@app.command()
def resume(folder: Folder, trust: Trust = False) -> None:
    """Continue a study after any interruption; finished candidates are not evaluated again."""
    with console.Terminal(folder) as terminal:
        api.resume(folder, terminal)


@app.command()
def show(
    folder: Folder,
    top: Annotated[int, typer.Option(min=1, help="How many candidates.")] = 5,
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
            typer.echo(json.dumps(tables.study_as_data(study, top), indent=2))
        else:
            tables.show_study(study, top)


for command in (
    writing.export,
    writing.merge,
    writing.measure,
    writing.learn,
    writing.plot,
):
    app.command()(command)


@app.command()
def convert(
    file: Annotated[
        Path, typer.Argument(help="A file of mergekit or mergekit-evolve, or a recipe.")
    ],
    out: Annotated[Path | None, typer.Option(help="The new file; printed where left out.")] = None,
    dtype: Dtype = None,
) -> None:
    """Convert mergekit's YAML to a recipe, mergekit-evolve's to a job, a recipe to mergekit's."""
    text, warnings = conversion.convert(file, dtype=dtype)
    for warning in warnings:
        console.warn(warning)
    if out is None:
        typer.echo(text, nl=False)
    else:
        writers.write_new(out, text)
        typer.echo(str(out))


@app.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RECIPE", help="A folder, a hub name or a recipe.")
    ],
    evaluator: Annotated[str, typer.Option(help="A catalog name or a YAML file.")],
    split: Annotated[Split, typer.Option(help="The examples to score it on.")] = "holdout",
    engine: Engine = "auto",
    log_samples: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|FILE.jsonl", help="Write each example and its answer there."),
    ] = None,
    catalog_folder: Catalog = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Score one model or one recipe."""
    if log_samples:
        check_free(log_samples)
    suite = read_evaluator(
        evaluator, folder=Path.cwd(), origin=evaluator, catalog_folder=catalog_folder
    )
    report = api.evaluate(
        recipe_named(model),
        suite.model_copy(update={"keep_answers": True}) if log_samples else suite,
        split=split,
        engine=EngineConfig(kind=engine),
        origin=model,
    )
    for path in write_samples(report, log_samples) if log_samples else ():
        typer.echo(str(path), err=True)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        tables.show_report(report, model)


app.command("catalog")(list_catalog)


app.command("schema")(print_schema)


def main() -> None:
    """The console script: errors become one sentence and an exit code."""
    try:
        app()
    except UserError as problem:
        _leave(f"{problem}", 2)
    except EvomergeError as problem:
        _leave(f"{type(problem).__name__}: {problem}", 1)
    except KeyboardInterrupt:
        _leave("interrupted; what a search had finished is on record", 130)


def _leave(message: str, code: int) -> None:
    typer.echo(f"evomerge: {message}", err=True)
    sys.exit(code)
