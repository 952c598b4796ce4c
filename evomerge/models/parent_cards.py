"""What the parents' own cards say of them: licenses and languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evomerge.errors import SourceError
from evomerge.models.sources import adapter_folder, found_folder
from evomerge.reading.bounded_yaml import BoundedLoader
from evomerge.reading.files import read_text
from evomerge.reading.json_text import read_object
from evomerge.recipe.source import Source

__all__ = ["ParentCard", "parent_cards"]

_BLOCK = re.compile(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
"""The metadata of a card, between lines of three dashes at its beginning."""
_MOST = 8 << 20
"""Most bytes of a card."""


@dataclass(frozen=True)
class ParentCard:
    """A model or an adapter that a merge is made of, as its card describes it."""

    name: str
    """Its repository, or its folder."""
    licenses: tuple[str, ...] = ()
    """The hub's names of its licenses; none where its card states none."""
    license_name: str | None = None
    """What a license is called that the hub has no name of (`other`)."""
    license_link: str | None = None
    languages: tuple[str, ...] = ()
    """Codes, such as `en`."""


def parent_cards(sources: Mapping[Source, Source]) -> tuple[ParentCard, ...]:
    """The cards of the models and adapters of sources, each once; empty where there is no card.

    `sources`: source -> the same one by the name that it is called in the card.
    """
    cards = {}
    for source, named in sources.items():
        for name, folder in _places(source, named):
            if name not in cards:
                cards[name] = _read(name, folder)
    return tuple(cards.values())


def _places(source: Source, named: Source) -> Iterator[tuple[str, Path | None]]:
    """(name, folder) of the model, and of the adapter; None where the folder is not here."""
    try:
        yield named.model, found_folder(source)
    except SourceError:
        yield named.model, None
    if named.adapter is not None:
        try:
            yield named.adapter, adapter_folder(source)
        except SourceError:
            yield named.adapter, None


def _read(name: str, folder: Path | None) -> ParentCard:
    if folder is None:
        return ParentCard(name)
    said = _front_matter(folder / "README.md")
    licenses = _strings(said.get("license")) or _strings(_configured(folder).get("license"))
    return ParentCard(
        name,
        tuple(license.lower() for license in licenses if license.lower() != "unknown"),
        _string(said.get("license_name")),
        _string(said.get("license_link")),
        _strings(said.get("language")),
    )


def _front_matter(path: Path) -> Mapping[str, Any]:
    """The metadata of a card; nothing where there is no card, or none that can be read."""
    try:
        block = _BLOCK.match(read_text(path, most=_MOST))
        said = yaml.load(block[1], BoundedLoader) if block else None
    except (SourceError, yaml.YAMLError):
        return {}
    return said if isinstance(said, dict) else {}


def _configured(folder: Path) -> Mapping[str, Any]:
    try:
        return read_object(folder / "config.json", constants=True)
    except SourceError:
        return {}


def _strings(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    # YAML reads Norwegian as false.
    named = ("no" if each is False else each for each in values)
    return tuple(each for each in named if _string(each))


def _string(value: Any) -> str | None:
    """A name or a link; what is longer, or has lines or control characters, is none of the two."""
    named = isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200
    return str(value) if named else None
