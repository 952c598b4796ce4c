"""What holds for every test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from evomerge.merging.compilation import COMPILE
from evomerge.merging.disk_cache import FOLDER
from evomerge.models import learned
from tests.families import family
from tests.small_job import small_job

__all__ = ["family", "small_job"]

# An example may meet what is slow once, a kernel's first compilation or a cold disk, and on a busy
# machine everything is: how long one took says nothing. In CI the examples are the same each time.
hypothesis.settings.register_profile(
    "evomerge", deadline=None, print_blob=True, derandomize="CI" in os.environ
)
hypothesis.settings.register_profile(
    "fast", hypothesis.settings.get_profile("evomerge"), max_examples=20
)
hypothesis.settings.load_profile("evomerge")


@pytest.fixture(scope="session", autouse=True)
def _settings_of_its_own() -> Iterator[None]:
    """No test reads what another run kept on disk, leaves something in the user's folder, or meets
    a compiler that it did not ask for."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        os.environ[learned.FOLDER] = str(Path(folder, "architectures"))
        # A busy machine makes forms hot, and compiling one takes seconds. Who tests compiled code
        # asks for it (`Passes`).
        os.environ[COMPILE] = "0"
        # Processes find the tests by their path: the working directory is not on it.
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
        yield
        del os.environ[FOLDER], os.environ[learned.FOLDER], os.environ[COMPILE]
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path
