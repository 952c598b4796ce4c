"""The commands that write a model, an adapter or a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge import writers
from evomerge.commands.arguments import AsJson, Candidate, Dtype, Folder, Quiet
from evomerge.commands.console import Output
from evomerge.errors import ConfigError

__all__ = ["export", "merge"]

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


def _check_rank(rank: int | None, format: str) -> None:
    if rank is not None and format != "adapter":
        raise ConfigError(
            f"--rank sets the rank of an adapter; --format {format} has none, leave it out"
        )
