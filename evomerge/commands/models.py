"""The commands about one model or one recipe that write no weights: score it, convert it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge import api, writers
from evomerge.commands import tables
from evomerge.commands.arguments import AsJson, Catalog, Dtype, Quiet, Trust
from evomerge.commands.completion import evaluator_names
from evomerge.commands.console import Output
from evomerge.commands.examples import check_free, write_samples
from evomerge.engines.config import EngineConfig
from evomerge.evaluators.base import Split
from evomerge.evaluators.registry import read_evaluator
from evomerge.interchange import convert as conversion
from evomerge.recipe.named import recipe_named
from evomerge.study.remarks import comment_on_test_sets

__all__ = ["convert", "evaluate"]

Engine = Annotated[
    Literal["auto", "transformers", "vllm"], typer.Option(help="What runs the model.")
]


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
    text = comment_on_test_sets(writers.public_sets_named_in(file)) + text
    for warning in warnings:
        said.warn(warning)
    if out is not None:
        writers.write_new(out, text)
    data = {"out": out and str(out), "text": text, "warnings": warnings}
    said.line(data, text.rstrip("\n") if out is None else str(out))


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RECIPE", help="A folder, a hub name or a recipe.")
    ],
    evaluator: Annotated[
        str, typer.Option(help="A catalog name or a YAML file.", autocompletion=evaluator_names)
    ],
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
