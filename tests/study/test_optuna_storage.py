"""Optuna's own tests of a storage, on the storage that a study uses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from evomerge.study.database_url import STORAGE
from evomerge.study.folder import Identity
from evomerge.study.storage import create_trials, open_trials

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
"""Optuna's tests call what Optuna itself has deprecated."""
DATABASE = "studies.db"


def opened(identity: Identity, journal: Path) -> Iterator[BaseStorage]:
    """The storage of a study, without the study: the tests count those that they make."""
    create_trials(identity, journal)
    storage, study = open_trials(identity, journal)
    storage.delete_study(study)
    yield storage
    storage.remove_session()


class TestJournal(StorageTestCase):
    """A study's journal."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        identity = Identity(name="ours", storage=None, objectives=("fitness",), genes=())
        yield from opened(identity, tmp_path / "journal.log")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a study, for each test to copy: making the tables takes longest."""
    folder = tmp_path_factory.mktemp("tables")
    identity = in_database(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORAGE, str(identity.storage))
        for _ in opened(identity, folder / "journal.log"):
            pass
    return folder / DATABASE


def in_database(folder: Path) -> Identity:
    url = f"sqlite:///{folder / DATABASE}"
    return Identity(name="ours", storage=url, objectives=("fitness",), genes=())


@pytest.mark.slow
class TestDatabase(StorageTestCase):
    """A study in a database."""

    @pytest.fixture
    def storage(
        self, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[BaseStorage]:
        shutil.copy(tables, tmp_path)
        identity = in_database(tmp_path)
        monkeypatch.setenv(STORAGE, str(identity.storage))
        yield from opened(identity, tmp_path / "journal.log")
