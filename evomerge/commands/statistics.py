"""The commands that measure a model, or learn the coefficients of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge import writers
from evomerge.commands.arguments import AsJson, Quiet
from evomerge.commands.console import Output
from evomerge.errors import ConfigError
from evomerge.measuring.settings import AdaMerging, ExpertMerging, Learning, MeasureSettings
from evomerge.recipe.digest import plain
from evomerge.recipe.named import recipe_named
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.recipe.yaml import dump_recipe, read_recipe
from evomerge.recipe.yaml_reading import parse_value
from evomerge.value import parse

__all__ = ["learn", "measure"]

Device = Annotated[
    str,
    typer.Option(
        help="torch's name of the device; auto is the first GPU, or the CPU where there is none."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random draws.")]


def measure(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|SOURCE|JOB",
            help="A folder, a hub name, a source's file; of importance a job.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The new folder of statistics.")],
    text: Annotated[
        Path | None, typer.Option(help="Text that the model is good at: plain text, or .jsonl.")
    ] = None,
    what: Annotated[
        str,
        typer.Option(
            help="What to measure: fisher, gram or both, separated by a comma; or importance: which"
            " layers and components are expected to matter to a job's merges."
        ),
    ] = "fisher,gram",
    second_moment: Annotated[
        Path | None, typer.Option(help="Adam's exp_avg_sq by checkpoint name, a safetensors file.")
    ] = None,
    rank1: Annotated[
        bool, typer.Option("--rank1", help="Keep row and column sums of second moments.")
    ] = False,
    adapter: Annotated[str | None, typer.Option(help="A LoRA adapter on the model.")] = None,
    examples: Annotated[
        int | None,
        typer.Option(min=1, help="Largest number of windows: 256, of importance 16, if left out."),
    ] = None,
    length: Annotated[int, typer.Option(min=2, help="Largest number of tokens in a window.")] = 512,
    labels: Annotated[
        Literal["sampled", "observed"], typer.Option(help="Labels of the Fisher information.")
    ] = "sampled",
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure what fisher, regmean, ota and ffg need of a model, into a folder of statistics; or
    what a job's `importance` names.
    """
    kinds = [kind.strip() for kind in what.split(",") if kind.strip()]
    if "importance" in kinds:
        if kinds != ["importance"]:
            raise ConfigError("--what: importance is measured of a job, and by itself")
        settings = MeasureSettings(examples=examples or 16, length=length, device=device)
        said = Output(quiet, as_json)
        with said.counting(f"measuring into {out}") as progress:
            writers.measure_importance(model, out, text=text, settings=settings, progress=progress)
        said.line({"out": str(out), "warnings": []}, str(out))
        return
    source = recipe_named(model)
    if not isinstance(source, Source):
        raise ConfigError(f"{model}: is no source; merge it first, and measure the model")
    if adapter is not None:
        local = str(Path(adapter).resolve()) if Path(adapter).exists() else adapter
        source = source.model_copy(update={"adapter": local})
    said = Output(quiet, as_json)
    with said.counting(f"measuring into {out}") as progress:
        warnings = writers.measure(
            source,
            out,
            text=text,
            what=kinds,
            settings=MeasureSettings(
                examples=examples or 256, length=length, labels=labels, device=device, seed=seed
            ),
            second_moment=second_moment,
            rank1=rank1,
            progress=progress,
        )
    for warning in warnings:
        said.warn(warning)
    said.line({"out": str(out), "warnings": warnings}, str(out))


def learn(
    recipe: Annotated[
        Path,
        typer.Argument(metavar="RECIPE", help="A recipe of method adamerging or expert_merging."),
    ],
    text: Annotated[
        list[str], typer.Option(metavar="NAME=FILE", help="An expert's text; one for each expert.")
    ],
    out: Annotated[Path, typer.Option(help="The new folder: statistics and recipe.yaml.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="steps, batch, examples, length, rate, start, and for expert_merging gamma,"
            " temperature, layers, budget (++), kappa.",
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn the coefficients of an adamerging or expert_merging recipe on unlabelled text."""
    parsed = read_recipe(recipe)
    kinds: dict[str, type[AdaMerging] | type[ExpertMerging]] = {
        "adamerging": AdaMerging,
        "expert_merging": ExpertMerging,
    }
    method = parsed.method if isinstance(parsed, Merge) else parsed.kind
    if method not in kinds:
        raise ConfigError(f"{recipe}: nothing to learn for {method!r}, only for {', '.join(kinds)}")
    given = {
        key: parse_value(value, origin=f"--set {key}")
        for key, value in _pairs(settings or [], "--set").items()
    }
    learning: Learning = parse(
        kinds[method], {**given, "device": device, "seed": seed}, origin="--set"
    )
    said = Output(quiet, as_json)
    with said.counting(f"learning into {out}") as progress:
        made = writers.learn(
            recipe, _pairs(text, "--text"), out, settings=learning, progress=progress
        )
    said.line({"out": str(out), "recipe": plain(made)}, dump_recipe(made).rstrip("\n"))


def _pairs(given: list[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` as a mapping."""
    pairs = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{option} {pair}: expected NAME=VALUE")
        if name in pairs:
            raise ConfigError(f"{option}: {name!r} is given twice")
        pairs[name] = value
    return pairs
