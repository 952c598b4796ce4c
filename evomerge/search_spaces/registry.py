"""Search spaces by kind: the built-in ones, and those that other packages offer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evomerge import catalog
from evomerge.errors import ConfigError, about
from evomerge.plugins import Registry
from evomerge.recipe.file_kind import instead_of_an_entry
from evomerge.recipe.yaml_reading import read_mapping
from evomerge.search_spaces.base import SearchSpace, SpaceConfig

__all__ = ["SPACES", "read_space"]

SPACES: Registry[type[SearchSpace]] = Registry(
    "search space",
    "evomerge.search_spaces",
    {
        "dataflow": "evomerge.search_spaces.dataflow:DataFlowSpace",
        "parameter": "evomerge.search_spaces.parameter:ParameterSpace",
        "segments": "evomerge.search_spaces.segments:SegmentsSpace",
    },
)
"""Made from settings, sources and facts: `SPACES.make(config, sources, models)`."""


def read_space(
    data: object,
    *,
    folder: Path,
    origin: str,
    key: str = "",
    catalog_folder: Path | None = None,
) -> SpaceConfig:
    """The settings that a file describes, with the files read that they name.

    `data`: the keys, or a name in the catalog. `folder`: what paths are relative to. `origin` is
    the file and `key` the place in it where the data stands, for messages.

    Raises:
        ConfigError: one sentence that names file, key and law, and the nearest name.
    """
    if isinstance(data, str):
        with about(f"{origin}: {key}" if key else origin):
            entry = catalog.find("search_spaces", data, folder=folder, catalog=catalog_folder)
        data, folder, origin, key = read_mapping(entry), entry.parent, str(entry), ""
        if other := instead_of_an_entry(data, "space"):
            raise ConfigError(f"{origin}: {other}")
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if isinstance(data, Mapping) and kind in SPACES.known:
        where = f"{origin}: {key}" if key else origin
        with about(where):
            data = SPACES.get(kind).config.resolved(data, folder=folder, origin=where)
    config: SpaceConfig = SPACES.config(data, origin=origin, key=key)
    return config
