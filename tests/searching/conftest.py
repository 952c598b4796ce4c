"""Studies in memory, and places with jobs over spaces of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.folders import tmp_path
from tests.merging.dialects import Dialects
from tests.place import Place

__all__ = ["flow", "niches", "place", "tmp_path", "tongues"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "here")


@pytest.fixture
def flow(place: Place) -> Place:
    """A job over data flow: from json, through math, and through a recipe over both."""
    place.job["space"] = {"kind": "dataflow", "inputs": ["json", "math"], "repetitions": 2}
    place.job["optimizer"] = {"kind": "random"}
    place.job["budget"] = {"candidates": 60}
    return place


@pytest.fixture
def tongues(place: Place) -> Place:
    """The job over models whose vocabularies differ."""
    Dialects(place.folder / "dialects")
    names = ("base", "a", "b")
    place.job["sources"] = {name: {"model": f"dialects/{name}"} for name in names}
    return place


@pytest.fixture
def niches(place: Place) -> Place:
    """A job over tables of two seeds."""
    place.job["space"] = {"kind": "segments", "base": "base", "resolution": 50}
    place.job["optimizer"] = {"kind": "random"}  # which nothing here asks
    return place
