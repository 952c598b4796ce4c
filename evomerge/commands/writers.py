"""The commands that write something: a model, an adapter, a recipe, statistics, a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge import writers
from evomerge.commands.arguments import AsJson, Candidate, Dtype, Folder, Quiet
from evomerge.commands.console import Output
from evomerge.errors import ConfigError
from evomerge.measuring.settings import AdaMerging, ExpertMerging, Learning, MeasureSettings
from evomerge.recipe.digest import plain
from evomerge.recipe.named import recipe_named
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.recipe.yaml import dump_recipe, read_recipe
from evomerge.recipe.yaml_reading import parse_value
from evomerge.reports.views import View
from evomerge.study.fetching import local_study
from evomerge.value import parse
from evomerge.wording import visible

__all__ = ["export", "learn", "measure", "merge", "plot"]

Device = Annotated[
    str,
    typer.Option(
        help="torch's name of the device; auto is the first GPU, or the CPU where there is none."
    ),
]
LocalPaths = Annotated[
    bool,
    typer.Option(
        "--local-paths",
        help="Keep the paths of this machine in recipe and card; left out, a source is written as"
        " a hub's repository and commit, or as its folder's name and a fingerprint.",
    ),
]
KeepCode = Annotated[
    bool,
    typer.Option(
        "--keep-code",
        help="Copy the Python files of the model that gives configuration and tokenizer; left out,"
        " no code of others is in what is written.",
    ),
]
Rank = Annotated[
    int | None,
    typer.Option(min=1, help="Truncate an adapter to this rank; exact where left out."),
]
Seed = Annotated[int, typer.Option(help="Seed of all random draws.")]

_STACK = (
    "stack: each layer stored once, with code that runs the path; a path with scales is always"
    " written so."
)


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The new model folder, or the recipe's file.")],
    candidate: Candidate = None,
    format: Annotated[
        Literal["hf", "stack", "adapter", "recipe", "mergekit"],
        typer.Option(help=f"What to write. {_STACK}"),
    ] = "hf",
    dtype: Dtype = None,
    rank: Rank = None,
    local_paths: LocalPaths = False,
    keep_code: KeepCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write the winner (or any candidate) as a model folder with a card, an adapter or a recipe."""
    _check_rank(rank, format)
    said = Output(quiet, as_json)
    warnings: list[str] = []
    if format == "recipe":
        label = writers.export_recipe(folder, out, candidate=candidate, local_paths=local_paths)
    elif format == "mergekit":
        label = writers.export_mergekit(
            folder, out, candidate=candidate, dtype=dtype, local_paths=local_paths
        )
    elif format == "adapter":
        with said.counting(f"merging into {out}") as progress:
            label = writers.export_adapter(
                folder,
                out,
                candidate=candidate,
                dtype=dtype,
                rank=rank,
                local_paths=local_paths,
                progress=progress,
            )
    else:
        with said.counting(f"merging into {out}") as progress:
            label = writers.export(
                folder,
                out,
                candidate=candidate,
                dtype=dtype,
                folded=format == "stack",
                local_paths=local_paths,
                keep_code=keep_code,
                warn=warnings.append,
                progress=progress,
            )
    for warning in warnings:
        said.warn(warning)
    said.line({"out": str(out), "format": format, "label": label}, f"{out}: {label}")


def merge(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.")],
    out: Annotated[Path, typer.Option(help="The new model folder, or the adapter's.")],
    format: Annotated[
        Literal["model", "stack", "adapter"],
        typer.Option(
            help=f"A whole model, or one LoRA adapter where adapters are merged. {_STACK}"
        ),
    ] = "model",
    dtype: Dtype = None,
    rank: Rank = None,
    local_paths: LocalPaths = False,
    keep_code: KeepCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build one recipe as a model folder, tensor by tensor, or as one LoRA adapter."""
    _check_rank(rank, format)
    said = Output(quiet, as_json)
    with said.counting(f"merging into {out}") as progress:
        if format == "adapter":
            warnings = writers.merge_adapter(
                recipe, out, dtype=dtype, rank=rank, local_paths=local_paths, progress=progress
            )
        else:
            warnings = writers.merge(
                recipe,
                out,
                dtype=dtype,
                folded=format == "stack",
                local_paths=local_paths,
                keep_code=keep_code,
                progress=progress,
            )
    for warning in warnings:
        said.warn(warning)
    said.line({"out": str(out), "format": format, "warnings": warnings}, str(out))


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


def plot(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE|DIR",
            callback=lambda given: local_study(given),
            help="A recipe's file, or a study's folder or URL.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The new picture; its name ends in .svg, .png or .pdf. Left out: NAME.svg here,"
            " NAME being the recipe's or the study's, with the view or candidate that is asked for."
        ),
    ] = None,
    candidate: Candidate = None,
    view: Annotated[
        View | None,
        typer.Option(
            help="What to draw of a study. convergence: fitness candidate by candidate. front: of"
            " several objectives, what no other candidate beats. recipe: the winner's weights over"
            " layers and components. path: its layers (data flow). archive: members by examples;"
            " lineage: of the best member (where members are crossed). Left out: the one that suits"
            " it."
        ),
    ] = None,
) -> None:
    """Draw a search, the weights of a recipe, a data-flow path, an archive or a lineage."""
    if out is None:
        asked = [str(part) for part in (view, candidate) if part is not None]
        whole = what.resolve()
        name = whole.name if whole.is_dir() else whole.stem
        out = Path("-".join([name, *asked]) + ".svg")
    label = writers.plot(what, out, candidate=candidate, view=view)
    typer.echo(visible(f"{out}: {label}"))
    if view is None and what.is_dir():
        typer.echo(f"more with --view: {', '.join(writers.other_views(what, candidate))}")


def _check_rank(rank: int | None, format: str) -> None:
    if rank is not None and format != "adapter":
        raise ConfigError(
            f"--rank sets the rank of an adapter; --format {format} has none, leave it out"
        )


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
