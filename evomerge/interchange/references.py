"""How mergekit's files name models."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import ConfigError
from evomerge.faults import describe
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.reading.files import expanded, is_there
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe

__all__ = ["References"]

_KEYS = ("model", "lora", "override_architecture")
_PART_KEYS = ("path", "revision")


class References:
    """Model references (`path@revision+adapter@revision`, or a document's name) as named inputs."""

    def __init__(self, diagnosis: Diagnosis, folder: Path, named: Mapping[str, Recipe]) -> None:
        self._diagnosis, self._folder, self._named = diagnosis, folder, named
        self.inputs: dict[str, Recipe] = {}

    def name(self, reference: Any, taken: Collection[str] = ()) -> str:
        """The name of a model among the inputs; the same model has one name.

        `taken`: names of the models that it stands beside. A model that is given twice is two
        inputs, the second with a name of its own.

        Raises:
            ConfigError: it cannot be read.
        """
        recipe = self._recipe(reference)
        for name, known in self.inputs.items():
            if known == recipe and name not in taken:
                return name
        text = str(reference)
        if isinstance(reference, Mapping):
            text = _path_of(reference.get("lora")) or _path_of(reference.get("model"))
        last = text.split("+")[-1].rstrip("/").split("/")[-1]
        stem = re.sub(r"\W+", "_", last).strip("_")
        stem = f"{stem}_model" if stem in ("", "where", "options") else stem
        name, count = stem, 2
        while name in self.inputs:
            name, count = f"{stem}_{count}", count + 1
        self.inputs[name] = recipe
        return name

    def _recipe(self, reference: Any) -> Recipe:
        if isinstance(reference, Mapping):
            self._diagnosis.check_keys(reference, _KEYS, "model.")
            if reference.get("override_architecture") is not None:
                raise self._diagnosis.fault(
                    "override_architecture: the architecture is what a model's config.json says"
                )
            model, lora = reference.get("model"), reference.get("lora")
        elif isinstance(reference, str):
            model, plus, lora = reference.partition("+")
            if plus and (not lora or "+" in lora):
                raise self._unreadable(reference)
        else:
            raise self._unreadable(reference)
        path, revision = self._part(model)
        if path in self._named:
            if lora is not None and lora != "":
                raise self._diagnosis.fault(
                    f"{path}+...: an adapter goes on a model that exists, and {path} is a document"
                )
            return self._named[path]
        adapter, adapter_revision = self._part(lora) if lora else (None, None)
        return Source(
            model=self._located(path),
            revision=revision,
            adapter=self._located(adapter) if adapter else None,
            adapter_revision=adapter_revision,
        )

    def _part(self, data: Any) -> tuple[str, str | None]:
        """(path, revision) of a model or of an adapter."""
        if isinstance(data, Mapping):
            self._diagnosis.check_keys(data, _PART_KEYS, "model.")
            path, revision = data.get("path"), data.get("revision")
        elif isinstance(data, str) and not is_there(self._folder / expanded(data)):
            path, at, revision = data.partition("@")
            revision = revision if at else None
        else:
            path, revision = data, None
        fits = isinstance(path, str) and path and (revision is None or isinstance(revision, str))
        if not fits or "@" in str(revision) or revision == "":
            raise self._unreadable(data)
        return str(path), revision

    def _unreadable(self, reference: Any) -> ConfigError:
        shown = repr(reference) if isinstance(reference, str) else describe(reference)
        return self._diagnosis.fault(
            f"cannot read the model {shown}; it is written PATH, PATH@REVISION or PATH+ADAPTER"
        )

    def _located(self, place: str) -> str:
        path = self._folder / expanded(place)
        return str(path.resolve()) if is_there(path) else place


def _path_of(part: Any) -> str:
    return str(part.get("path") or "") if isinstance(part, Mapping) else str(part or "")
