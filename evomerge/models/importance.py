"""How much each part of a model is expected to matter to its merges: a folder, and what it says.

`evomerge measure JOB --what importance` writes it, a job's `importance` names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from evomerge.errors import ConfigError
from evomerge.reading.files import expanded, resolved
from evomerge.recipe.selector import Component, Place, Selector, Tower
from evomerge.recipe.yaml import read_mapping
from evomerge.value import Value, parse

__all__ = ["FILE", "Importance", "MeasuredImportance", "PartImportance", "read_importance"]

FILE = "importance.json"


class PartImportance(Value):
    """A component of one layer, or the tensors outside the layers that are one."""

    tower: Tower | None = None
    """The part of the model that has these layers."""
    main: bool = True
    """Whether a range of layers means this tower's where it names none."""
    layer: int | None = None
    """Left out: outside the layers."""
    component: Component | None = None
    """Left out: none that is known."""
    matrices: Annotated[int, Field(ge=0)] = 0
    """How many tensors of two axes and more it has."""
    change: Annotated[float, Field(ge=0)] = 0.0
    """Mean over its matrices (over all its tensors where it has none) and the parents of the norm
    of the change over the norm of the base's."""
    distance: float | None = None
    """1 - cos between the parents' states after the layer; left out where nothing was read."""
    importance: Annotated[float, Field(gt=0, le=1)]
    """Both, squashed, joined and smoothed over depth."""

    @property
    def place(self) -> Place:
        """Where a tensor of it sits."""
        return Place(self.layer, self.component, "", self.tower, None, self.main)


class Importance(Value):
    """Which parts of the models are expected to matter: a prior for the optimizer, and no more."""

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "The folder that `evomerge measure JOB --what importance` wrote.",
    }

    folder: str
    """The folder that `evomerge measure JOB --what importance` wrote."""
    parts: tuple[PartImportance, ...] = ()
    """What the folder says; read when the job is."""

    def of_groups(self, groups: Sequence[Sequence[Selector]]) -> list[float] | None:
        """Of each group of tensors: those that one of its selectors matches, and none before it.

        The mean over the parts in it, each as often as it has matrices, and those without any only
        where there are no others. A group that has no part gets the mean of all groups; None where
        no group has any.
        """
        chosen: list[list[PartImportance]] = [[] for _ in groups]
        for part in self.parts:
            for own, where in zip(chosen, groups, strict=True):
                if any(selector.matches(part.place) for selector in where):
                    own.append(part)
                    break
        shares = [_mean(own) for own in chosen]
        known = [share for share in shares if share is not None]
        if not known:
            return None
        usual = sum(known) / len(known)
        return [usual if share is None else share for share in shares]


class MeasuredImportance(Value):
    """`importance.json`."""

    format: Literal[1] = 1
    models: Mapping[str, str]
    """Name -> what was measured, for people."""
    measured: Mapping[str, Any]
    """How: text, examples, tokens."""
    parts: Annotated[tuple[PartImportance, ...], Field(min_length=1)]
    """By depth; those outside the layers first."""


def read_importance(data: object, *, folder: Path, origin: str) -> object:
    """What a job says of importance as plain data, with the file read that it names.

    `folder`: what a relative path starts at. `origin`: the file and the key, for messages.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    named = data.get("folder") if isinstance(data, Mapping) else data
    if not isinstance(named, str) or (isinstance(data, Mapping) and data.get("parts")):
        return data
    place = expanded(named)
    path = resolved(place if place.is_absolute() else folder / place)
    if not (path / FILE).is_file():
        raise ConfigError(
            f"{origin}: no {FILE} in {path}; `evomerge measure JOB --what importance --text FILE"
            f" --out {named}` writes it"
        )
    origin = str(path / FILE)
    about = parse(MeasuredImportance, read_mapping(path / FILE), origin=origin)
    keys = data if isinstance(data, Mapping) else {}
    return {**keys, "folder": str(path), "parts": [part.model_dump() for part in about.parts]}


def _mean(parts: Sequence[PartImportance]) -> float | None:
    if not parts:
        return None
    weights = [part.matrices for part in parts]
    if not any(weights):
        weights = [1] * len(parts)
    total = sum(weight * part.importance for weight, part in zip(weights, parts, strict=True))
    return total / sum(weights)
