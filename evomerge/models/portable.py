"""Sources by names that mean the same elsewhere.

A recipe that goes out names a hub repository at its commit where that is known, and otherwise the
folder's own name with a fingerprint of the weights, by which `RecipePlan.check` knows them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from evomerge.errors import SourceError
from evomerge.models.fingerprint import fingerprint
from evomerge.models.sources import found_folder
from evomerge.reading.files import expanded, is_folder, is_there, resolved
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, sources_of

__all__ = ["is_local", "portable", "portable_sources"]

_CACHED = re.compile(r"models--(?P<name>.+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def portable(recipe: Recipe, known: Mapping[Source, str] | None = None) -> Recipe:
    """The recipe with each source under a name that means the same on another machine.

    `known`: fingerprints of sources whose weights may be gone from here.
    """
    names = portable_sources(sources_of(recipe), known or {})
    return _renamed(recipe, names)


def portable_sources(
    sources: Iterable[Source], known: Mapping[Source, str]
) -> dict[Source, Source]:
    """Source -> the same one as another machine would name it.

    A folder becomes `./NAME`, NAME its last part; where two folders have the same last part, as
    many parts as tell them apart.
    """
    sources = list(dict.fromkeys(sources))
    places = [
        place
        for source in sources
        for place in (source.model, source.adapter, source.statistics)
        if place is not None and is_local(place) and _cached(place) is None
    ]
    short = _shortened(dict.fromkeys(places))
    return {source: _portable(source, short, known) for source in sources}


def is_local(place: str) -> bool:
    """Whether a source's place is a folder, here or elsewhere, and not the name of a repository."""
    path = expanded(place)
    return path.is_absolute() or place.startswith((".", "~")) or is_there(path)


def _portable(source: Source, short: Mapping[str, str], known: Mapping[Source, str]) -> Source:
    model, revision = source.model, source.revision
    if cached := _cached(model):
        model, revision = cached
    elif model in short:
        model = short[model]
    else:
        revision = _commit(source)
    adapter = source.adapter
    if adapter is not None:
        cached = _cached(adapter)
        adapter = cached[0] if cached else short.get(adapter, adapter)
    statistics = source.statistics and short.get(source.statistics, source.statistics)
    # A hub's commit says which weights they are; nothing says so of an adapter or of a folder.
    is_pinned = adapter is None and revision is not None and _COMMIT.fullmatch(revision)
    return Source(
        model=model,
        revision=revision,
        adapter=adapter,
        adapter_revision=source.adapter_revision,
        statistics=statistics,
        dequantize=source.dequantize,
        tie=source.tie,
        fingerprint=source.fingerprint if is_pinned else _fingerprint(source, known),
    )


def _cached(place: str) -> tuple[str, str] | None:
    """(repository, commit) of a folder that is a snapshot in the hub's cache."""
    path = expanded(place)
    if not is_folder(path):
        return None
    path = path.resolve()
    named = _CACHED.fullmatch(path.parent.parent.name)
    if path.parent.name != "snapshots" or named is None or not _COMMIT.fullmatch(path.name):
        return None
    return named["name"].replace("--", "/"), path.name


def _commit(source: Source) -> str | None:
    """The commit of a hub repository that is here; what the source says of it where it is not."""
    if source.revision and _COMMIT.fullmatch(source.revision):
        return source.revision
    try:
        cached = _cached(str(found_folder(source)))
    except SourceError:
        return source.revision
    return cached[1] if cached else source.revision


def _fingerprint(source: Source, known: Mapping[Source, str]) -> str | None:
    try:
        return fingerprint(source)
    except SourceError:
        return source.fingerprint or known.get(source)


def _shortened(places: Iterable[str]) -> dict[str, str]:
    """Folder -> `./` and as many of its last parts as tell it from the others."""
    parts = {place: resolved(expanded(place)).parts for place in places}
    short = {}
    for place, own in parts.items():
        others = {other for other in parts.values() if other != own}
        count = 1
        while count < len(own) and any(other[-count:] == own[-count:] for other in others):
            count += 1
        short[place] = f"./{'/'.join(own[-count:])}"
    return short


def _renamed(recipe: Recipe, names: Mapping[Source, Source]) -> Recipe:
    if isinstance(recipe, Source):
        return names[recipe]
    inputs = {name: _renamed(child, names) for name, child in recipe.inputs.items()}
    return recipe.model_copy(update={"inputs": inputs})
