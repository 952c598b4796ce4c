"""The command line: a thin layer over `evomerge.api` and `evomerge.writers`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from evomerge import __version__, api, writers
from evomerge.commands import tables
from evomerge.commands import writers as writing
from evomerge.commands.arguments import (
    OLDER_NAMES,
    AsJson,
    Candidate,
    Catalog,
    Dtype,
    Folder,
    Quiet,
    Trust,
)
from evomerge.commands.catalog import list_catalog
from evomerge.commands.console import Output
from evomerge.commands.examples import ExampleChoice, check_free, show_examples, write_samples
from evomerge.commands.schema import print_schema
from evomerge.commands.terminal import Terminal
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

EXIT_CODES = (
    "Exit codes: 0 done, 2 the input was wrong (one sentence on stderr), 130 interrupted,"
    " 1 anything else."
)
SEARCH, MODELS, REFERENCE = "Search", "Models and recipes", "Reference"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: OLDER_NAMES.get(name, name),
    },
    epilog=EXIT_CODES,
)


def _example(*commands: str) -> str:
    """What stands below a command's help: how it is called."""
    return "\n\n".join(("Example:" if len(commands) == 1 else "Examples:", *commands))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evomerge {__version__}")
        raise typer.Exit


@app.callback()
def evomerge(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Search for the recipe that merges fine-tuned siblings of one model into a better one."""


TOP = 5
"""So many of the best candidates are shown."""

Engine = Annotated[
    Literal["auto", "transformers", "vllm"], typer.Option(help="What runs the model.")
]


@app.command(
    rich_help_panel=SEARCH, epilog=_example("evomerge check job.yaml", "evomerge check recipe.yaml")
)
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
        facts, warnings, remarks = _checked(file, out, catalog_folder)
    for warning in warnings:
        said.warn(warning)
    for remark in remarks:
        said.note(remark)
    said.facts(facts)


def _checked(
    file: Path, out: Path | None, catalog_folder: Path | None
) -> tuple[dict[str, Any], list[str], Sequence[str]]:
    """What a recipe or a job would take, the warnings about it, and what else is worth knowing."""
    if read_mapping(file).get("kind") in KINDS:
        recipe = RecipePlan(read_recipe(file), str(file))
        warnings = recipe.check()
        return {"recipe": str(file), "ok": True, **recipe.cost()}, warnings, ()
    plan = Plan(read_job(file, catalog_folder=catalog_folder), str(file))
    warnings = plan.check()
    folder = out or Path("runs") / plan.job.name
    if out is None and StudyFolder(folder).identity.exists():
        warnings.append(f"{folder}: holds a study already; a new search needs --out")
    else:
        check_new_study(plan.job, folder, str(file))
    warnings += look_at_cluster(plan.job, str(file))
    return {"job": plan.job.name, "ok": True, **plan.cost()}, warnings, plan.remarks


@app.command(
    rich_help_panel=SEARCH,
    epilog=_example("evomerge search job.yaml", "evomerge search job.yaml --out runs/first"),
)
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
    with _watched(folder, quiet, as_json) as terminal:
        api.search(parsed, folder, terminal, origin=str(job))
    if as_json:
        _print_study(folder, TOP)


@app.command(rich_help_panel=SEARCH, epilog=_example("evomerge resume runs/first"))
def resume(
    folder: Folder, trust: Trust = False, quiet: Quiet = False, as_json: AsJson = False
) -> None:
    """Continue a study after any interruption; of a finished one the result is printed at once."""
    with _watched(folder, quiet, as_json) as terminal:
        api.resume(folder, terminal)
    if as_json:
        _print_study(folder, TOP)


def _watched(folder: Path, quiet: bool, as_json: bool) -> Terminal:
    """Where a search is shown: where a program reads stdout, on stderr."""
    screen = tables.err if as_json else tables.out
    return Terminal(folder, screen, quiet=quiet, result=not as_json)


def _print_study(folder: Path, top: int) -> None:
    with Study.open(folder, write=False) as study:
        Output(as_json=True).print_json(tables.study_as_data(study, top))


@app.command(
    rich_help_panel=SEARCH,
    epilog=_example("evomerge show runs/first", "evomerge show runs/first --top 10 --json"),
)
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


for command, panel, examples in (
    (writing.plot, SEARCH, ["evomerge plot runs/first --out first.svg"]),
    (
        writing.export,
        SEARCH,
        [
            "evomerge export runs/first --out model",
            "evomerge export runs/first --out recipe.yaml --format recipe --candidate 7",
        ],
    ),
    (writing.merge, MODELS, ["evomerge merge recipe.yaml --out model"]),
    (
        writing.measure,
        MODELS,
        ["evomerge measure models/math --text math.txt --out of-math"],
    ),
    (
        writing.learn,
        MODELS,
        ["evomerge learn recipe.yaml --text math=math.txt --text json=json.txt --out learned"],
    ),
):
    app.command(rich_help_panel=panel, epilog=_example(*examples))(command)


@app.command(
    rich_help_panel=MODELS, epilog=_example("evomerge convert mergekit.yaml --out recipe.yaml")
)
def convert(
    file: Annotated[
        Path, typer.Argument(help="A file of mergekit or mergekit-evolve, or a recipe.")
    ],
    out: Annotated[Path | None, typer.Option(help="The new file; printed where left out.")] = None,
    dtype: Dtype = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Convert mergekit's YAML to a recipe, mergekit-evolve's to a job, a recipe to mergekit's."""
    said = Output(quiet, as_json)
    text, warnings = conversion.convert(file, dtype=dtype)
    for warning in warnings:
        said.warn(warning)
    if out is not None:
        writers.write_new(out, text)
    data = {"out": out and str(out), "text": text, "warnings": warnings}
    said.line(data, text.rstrip("\n") if out is None else str(out))


@app.command(
    rich_help_panel=MODELS,
    epilog=_example(
        "evomerge evaluate models/math --evaluator json_math",
        "evomerge evaluate recipe.yaml --evaluator evaluator.yaml --split validation",
    ),
)
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
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score one model or one recipe."""
    said = Output(quiet, as_json)
    if log_samples:
        check_free(log_samples)
    with said.doing(f"scoring {model} on the {split} split"):
        recipe = recipe_named(model)
        suite = read_evaluator(
            evaluator, folder=Path.cwd(), origin=evaluator, catalog_folder=catalog_folder
        )
        report = api.evaluate(
            recipe,
            suite.model_copy(update={"keep_answers": True}) if log_samples else suite,
            split=split,
            engine=EngineConfig(kind=engine),
            origin=model,
        )
    for path in write_samples(report, log_samples) if log_samples else ():
        said.note(str(path))
    said.result(report.model_dump(mode="json"), lambda: tables.show_report(report, model))


app.command(
    "catalog",
    rich_help_panel=REFERENCE,
    epilog=_example("evomerge catalog", "evomerge catalog ties", "evomerge catalog optimizers"),
)(list_catalog)


app.command(
    "schema",
    rich_help_panel=REFERENCE,
    epilog=_example("evomerge schema > job.json", "evomerge schema --of recipe"),
)(print_schema)


def main() -> None:
    """The console script: errors become one sentence and an exit code."""
    try:
        app(prog_name="evomerge")  # whatever called it: completion goes by this name
    except UserError as problem:
        _leave(f"{problem}", 2)
    except EvomergeError as problem:
        _leave(f"{type(problem).__name__}: {problem}", 1)
    except KeyboardInterrupt:
        _leave("interrupted; what a search had finished is on record", 130)


def _leave(message: str, code: int) -> None:
    typer.echo(f"evomerge: {message}", err=True)
    sys.exit(code)
