"""What a YAML file is, told by its keys: for the message where another kind of file is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.recipe.tree import KINDS

__all__ = ["instead_of_a_job", "instead_of_a_recipe", "instead_of_an_entry"]

_OF_A_JOB = {"space", "optimizer", "evaluator", "budget", "sources"}


def instead_of_a_recipe(data: Mapping[str, Any], path: Path) -> str | None:
    """What the file is if it is no recipe, and which command takes it; None where it may be one."""
    if len(_OF_A_JOB & data.keys()) > 1 and "inputs" not in data:
        return (
            f"a recipe is wanted, and this is a job; `evomerge search {path}` runs it, and"
            " `evomerge export DIR --format recipe --out FILE` gives the recipe that it found"
        )
    return _of_mergekit(data, path, "a recipe")


def instead_of_a_job(data: Mapping[str, Any], path: Path) -> str | None:
    """What the file is if it is no job, and which command takes it; None where it may be one."""
    if data.get("kind") in KINDS or {"inputs", "method"} <= data.keys() or "model" in data:
        return (
            f"a job is wanted, and this is a recipe; `evomerge merge {path} --out MODEL` builds it,"
            f" and `evomerge evaluate {path} --evaluator NAME` scores it"
        )
    return _of_mergekit(data, path, "a job")


def instead_of_an_entry(data: Mapping[str, Any], key: str) -> str | None:
    """What the file is if it is no catalog entry; None where it may be one. `key`: a job's key that
    takes the entry's name."""
    if len(_OF_A_JOB & data.keys()) > 1 and "kind" not in data:
        return f"a job, and its `{key}` alone is wanted; move that to a file of its own"
    return None


def _of_mergekit(data: Mapping[str, Any], path: Path, wanted: str) -> str | None:
    for key, whose, made in (
        ("merge_method", "mergekit", "recipe"),
        ("genome", "mergekit-evolve", "job"),
    ):
        if key in data:
            return (
                f"{wanted} is wanted, and this is a file of {whose};"
                f" `evomerge convert {path} --out {made}.yaml` makes a {made} of it"
            )
    return None
