"""How mergekit's files name models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import ConfigError
from evomerge.reading.files import expanded, is_there
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe

__all__ = ["References"]

_REFERENCE = re.compile(r"^(?P<model>[^@+]+)(?:@(?P<rev>[^+]+))?(?:\+(?P<lora>[^@]+)(?:@.+)?)?$")


class References:
    """Model references (`path@revision+adapter`, or a document's name) as named inputs."""

    def __init__(self, origin: str, folder: Path, named: Mapping[str, Recipe]) -> None:
        self._origin, self._folder, self._named = origin, folder, named
        self.inputs: dict[str, Recipe] = {}

    def name(self, reference: Any) -> str:
        """The name of a model among the inputs; the same model has one name.

        Raises:
            ConfigError: it cannot be read.
        """
        recipe = self._recipe(reference)
        for name, known in self.inputs.items():
            if known == recipe:
                return name
        text = str(reference)
        if isinstance(reference, Mapping):
            text = str(reference.get("lora") or reference.get("model"))
        stem = re.sub(r"\W+", "_", text.split("+")[-1].rstrip("/").split("/")[-1]).strip("_")
        stem = f"{stem}_model" if stem in ("", "where", "options") else stem
        name, count = stem, 2
        while name in self.inputs:
            name, count = f"{stem}_{count}", count + 1
        self.inputs[name] = recipe
        return name

    def _recipe(self, reference: Any) -> Recipe:
        model: Any
        lora: Any
        if isinstance(reference, Mapping):
            model, lora, revision = reference.get("model"), reference.get("lora"), None
            if isinstance(model, Mapping):
                model, revision = model.get("path"), model.get("revision")
            if isinstance(lora, Mapping):
                lora = lora.get("path")
        else:
            match = _REFERENCE.match(str(reference))
            if match is None:
                raise ConfigError(f"{self._origin}: cannot read the model {reference!r}")
            model, lora, revision = match["model"], match["lora"], match["rev"]
        if model in self._named and not lora:
            return self._named[str(model)]
        return Source(
            model=self._path(str(model)),
            revision=revision,
            adapter=self._path(str(lora)) if lora else None,
        )

    def _path(self, place: str) -> str:
        path = self._folder / expanded(place)
        return str(path.resolve()) if is_there(path) else place
