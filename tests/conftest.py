"""What holds for every test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from evomerge.merging.disk_cache import FOLDER
from tests.families import family

__all__ = ["family"]


@pytest.fixture(scope="session", autouse=True)
def _statistics_of_its_own() -> Iterator[None]:
    """No test reads what another run kept on disk, or leaves something in the user's folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        yield
        del os.environ[FOLDER]
