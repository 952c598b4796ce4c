"""What is read and written as a file: a recipe by its name, and a new file of any kind."""

from __future__ import annotations

import os
from pathlib import Path

from evomerge.errors import RecipeError, UserError
from evomerge.publish import write_whole
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import read_recipe
from evomerge.recipe.yaml_reading import read_text
from evomerge.study.remarks import named_in_comments

__all__ = ["read_named", "public_sets_named_in", "write_new"]


def read_named(recipe: Recipe | Path | str) -> tuple[Recipe, str]:
    """(the recipe itself or the one in a file, what messages call it).

    Raises:
        UserError: the file holds no recipe.
    """
    if isinstance(recipe, Path | str):
        return read_recipe(Path(recipe)), str(recipe)
    return recipe, "recipe"


def public_sets_named_in(recipe: Recipe | Path | str) -> tuple[str, ...]:
    """The public test sets that the head of an exported recipe's file names; none where the recipe
    is given itself.

    Raises:
        UserError: the file cannot be read.
    """
    if isinstance(recipe, Path | str):
        return named_in_comments(read_text(Path(recipe), error=RecipeError))
    return ()


def write_new(out: Path, content: str | bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        UserError: it is, or it cannot be written: the disk is full or read-only, say.
    """
    if os.path.lexists(out):
        raise UserError(f"{out}: exists already; name a new file or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, content.encode() if isinstance(content, str) else content)
    except (OSError, ValueError) as problem:  # a disk, or no name that a file can have
        reason = getattr(problem, "strerror", None) or problem
        raise UserError(
            f"{out}: cannot be written ({reason}); name another file, or make room"
        ) from None
