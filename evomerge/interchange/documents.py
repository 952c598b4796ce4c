"""The documents of a mergekit file: one merge, or several that refer to each other by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evomerge.errors import ConfigError
from evomerge.interchange.mergekit import Conversion, DocumentReading
from evomerge.interchange.slices import Tensors
from evomerge.recipe.tree import Recipe

__all__ = ["read"]


def read(documents: Sequence[Any], tensors: Tensors, *, origin: str, folder: Path) -> Conversion:
    """The recipe that the documents (several: mergekit-multi's) describe.

    Of several it is the one without a name, wherever it stands, else the last one.

    Args:
        tensors: looks into a model's headers.
        folder: what relative paths start from; mergekit's is the working directory.

    Raises:
        ConfigError: something has no exact equivalent, with the reason.
    """
    if not documents:
        raise ConfigError(f"{origin}: holds no document")
    several = _Documents(documents, tensors, origin, folder)
    unnamed = [place for place, name in enumerate(several.names) if name is None]
    if len(unnamed) > 1 and len(documents) > 1:
        raise ConfigError(
            f"{several.where(unnamed[1])}: has no name, and neither has document"
            f" {unnamed[0] + 1}; only the last merge goes without"
        )
    done = several.conversion(unnamed[0] if unnamed else len(documents) - 1)
    done.warnings = several.warnings
    return done


class _Documents(Mapping[str, Recipe]):
    """The named documents' recipes, each read when it is first asked for, in any order."""

    def __init__(
        self, documents: Sequence[Any], tensors: Tensors, origin: str, folder: Path
    ) -> None:
        self._documents, self._tensors = documents, tensors
        self._origin, self._folder = origin, folder
        self._done: dict[int, Conversion] = {}
        self._begun: list[int] = []
        self.names: list[str | None] = []
        self.warnings: list[str] = []
        for place, document in enumerate(documents):
            if not isinstance(document, Mapping):
                raise ConfigError(f"{self.where(place)}: expected a mapping of keys")
            name = document.get("name")
            if name is not None and str(name) in self.names:
                raise ConfigError(
                    f"{self.where(place)}: name: {name} is another document's already"
                )
            self.names.append(None if name is None else str(name))

    def where(self, place: int) -> str:
        """What messages call a document."""
        if len(self._documents) == 1:
            return self._origin
        return f"{self._origin}: document {place + 1}"

    def conversion(self, place: int) -> Conversion:
        """The document at a place, once those that it refers to are read."""
        if place in self._begun:
            around = [
                str(self.names[at]) for at in (*self._begun[self._begun.index(place) :], place)
            ]
            raise ConfigError(f"{self.where(place)}: is made of itself: {' <- '.join(around)}")
        if place not in self._done:
            self._begun.append(place)
            document = DocumentReading(
                self._documents[place],
                self._tensors,
                self.where(place),
                self._folder,
                self,
                self.warnings,
            )
            self._done[place] = document.conversion()
            self._begun.pop()
        return self._done[place]

    def __contains__(self, name: object) -> bool:
        return name is not None and name in self.names

    def __getitem__(self, name: str) -> Recipe:
        return self.conversion(self.names.index(name)).recipe

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.names if name is not None)

    def __len__(self) -> int:
        return sum(name is not None for name in self.names)
