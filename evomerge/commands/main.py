"""The command line: a thin layer over `evomerge.api` and `evomerge.writers`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from evomerge import __version__
from evomerge.commands import jobs, models, pictures, statistics, studies, writers
from evomerge.commands.arguments import OLDER_NAMES
from evomerge.commands.catalog import list_catalog
from evomerge.commands.schema import print_schema
from evomerge.commands.watch import watch
from evomerge.errors import EvomergeError, UserError
from evomerge.interruption import exit_code, heeded
from evomerge.streams import outlive_readers
from evomerge.trust import without_working_directory
from evomerge.wording import visible

__all__ = ["app", "main"]


class Command(NamedTuple):
    """A command as help shows it."""

    name: str
    run: Callable[..., Any]
    examples: Sequence[str]
    """How it is called."""


GROUPS: dict[str, Sequence[Command]] = {
    "Search": [
        Command("check", studies.check, ["evomerge check job.yaml", "evomerge check recipe.yaml"]),
        Command(
            "search",
            studies.search,
            ["evomerge search job.yaml", "evomerge search job.yaml --out runs/first"],
        ),
        Command(
            "resume",
            studies.resume,
            ["evomerge resume runs/first", "evomerge resume s3://bucket/runs/first"],
        ),
        Command(
            "show",
            studies.show,
            ["evomerge show runs/first", "evomerge show runs/first --examples --wrong"],
        ),
        Command("watch", watch, ["evomerge watch runs/first", "evomerge watch first-1"]),
        Command("plot", pictures.plot, ["evomerge plot runs/first --out first.svg"]),
        Command(
            "export",
            writers.export,
            [
                "evomerge export runs/first --out model",
                "evomerge export runs/first --out recipe.yaml --format recipe --candidate 7",
            ],
        ),
    ],
    "On a cluster": [
        Command(
            "submit",
            jobs.submit,
            [
                "evomerge submit job.yaml --address http://HEAD:8265",
                "evomerge submit job.yaml --out /shared/studies/first --workers 8",
            ],
        ),
        Command("status", jobs.status, ["evomerge status first-1"]),
        Command("logs", jobs.logs, ["evomerge logs first-1 --follow"]),
        Command("stop", jobs.stop, ["evomerge stop first-1"]),
        Command("list", jobs.list_jobs, ["evomerge list --running"]),
        Command("fetch", jobs.fetch, ["evomerge fetch first-1 --out runs/first"]),
    ],
    "Models and recipes": [
        Command("merge", writers.merge, ["evomerge merge recipe.yaml --out model"]),
        Command(
            "evaluate",
            models.evaluate,
            [
                "evomerge evaluate models/math --evaluator json_math",
                "evomerge evaluate recipe.yaml --evaluator evaluator.yaml --split validation",
            ],
        ),
        Command("convert", models.convert, ["evomerge convert mergekit.yaml --out recipe.yaml"]),
        Command(
            "measure",
            statistics.measure,
            ["evomerge measure models/math --text math.txt --out of-math"],
        ),
        Command(
            "learn",
            statistics.learn,
            ["evomerge learn recipe.yaml --text math=math.txt --text json=json.txt --out learned"],
        ),
    ],
    "Reference": [
        Command(
            "catalog",
            list_catalog,
            ["evomerge catalog", "evomerge catalog ties", "evomerge catalog optimizers"],
        ),
        Command(
            "schema",
            print_schema,
            ["evomerge schema > job.json", "evomerge schema --of recipe"],
        ),
    ],
}

EXIT_CODES = (
    "Exit codes: 0 done, 2 the input was wrong (one sentence on stderr), 130 interrupted by Ctrl-C"
    " (143 by SIGTERM, 129 by SIGHUP), 1 anything else."
)

_INTERRUPTED = 130
"""What typer ends with after a KeyboardInterrupt."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: OLDER_NAMES.get(name, name),
    },
    epilog=EXIT_CODES,
)
for group, commands in GROUPS.items():
    for command in commands:
        said = "Example:" if len(command.examples) == 1 else "Examples:"
        epilog = "\n\n".join([said, *command.examples])
        app.command(command.name, rich_help_panel=group, epilog=epilog)(command.run)


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


def main() -> None:
    """The console script: errors become one sentence and an exit code."""
    check_written = outlive_readers()
    try:
        with heeded(), without_working_directory():
            _run(check_written)
    except UserError as problem:
        _leave(f"{problem}", 2)
    except EvomergeError as problem:
        _leave(f"{type(problem).__name__}: {problem}", 1)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != _INTERRUPTED:
            raise
        said = "interrupted; what a search had finished is on record"
        _leave(said, exit_code() or _INTERRUPTED)


def _run(check_written: Callable[[], None]) -> None:
    try:
        app(prog_name="evomerge")  # whatever called it: completion goes by this name
    except SystemExit as end:
        if not end.code:
            check_written()
        raise


def _leave(message: str, code: int) -> None:
    typer.echo(f"evomerge: {visible(message)}", err=True)
    sys.exit(code)
