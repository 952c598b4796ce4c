"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import read_recipe

__all__ = ["AsJson", "Catalog", "Dtype", "Folder", "Trial", "recipe_named"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Catalog = Annotated[
    Path | None, typer.Option("--catalog", help="A folder of catalogs that is looked in first.")
]
Dtype = Annotated[
    Literal["bfloat16", "float16", "float32"] | None,
    typer.Option(help="Of the weights written; the parents' own (an adapter: float32) by default."),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")]
Trial = Annotated[int | None, typer.Option(help="A candidate's number; the winner where left out.")]


def recipe_named(name: str) -> Recipe:
    """A recipe's file, or the source that a folder or a hub repository is."""
    if name.endswith((".yaml", ".yml", ".json")):
        return read_recipe(Path(name))
    return Source(model=str(Path(name).resolve()) if Path(name).exists() else name)
