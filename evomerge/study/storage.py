"""Where Optuna keeps the trials: an append-only journal, or a database by URL."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from evomerge.errors import RecordError, UserError
from evomerge.study.claim import is_of, take
from evomerge.study.connection import (
    engine_options,
    is_missing_file,
    through_driver,
    wait_for_restarts,
)
from evomerge.study.database_url import masked, named_database, scrubbed
from evomerge.study.folder import Identity
from evomerge.study.journal import ChecksummedJournal

if TYPE_CHECKING:
    # Optuna itself is imported where trials are opened: most commands open none.
    from optuna.storages import BaseStorage
    from optuna.storages.journal import BaseJournalBackend
    from optuna.study import StudyDirection

__all__ = ["create_trials", "delete_trials", "disconnect", "open_trials", "together"]

# Optuna announces each new study on stderr. Only its storages are silenced: whoever uses Optuna
# beside this package keeps the verbosity they chose for the rest.
logging.getLogger("optuna.storages").setLevel(logging.WARNING)

_METRIC_NAMES = "study:metric_names"
"""Where Optuna's dashboard and plots look for the objectives' names (Study.set_metric_names)."""


def create_trials(identity: Identity, journal: Path) -> None:
    """Make the Optuna study.

    Raises:
        UserError: the database cannot be reached, or holds a study of that name.
    """
    from optuna.exceptions import DuplicatedStudyError, StorageInternalError
    from optuna.study import StudyDirection

    if identity.storage is None:
        journal.touch(exist_ok=False)
    url = identity.storage and named_database(identity.storage)
    storage = _connect(url, journal, is_new=True)
    try:
        directions = [StudyDirection.MAXIMIZE] * len(identity.objectives)
        try:
            study_id, is_new = storage.create_new_study(directions, identity.name), True
        except DuplicatedStudyError:
            study_id, is_new = storage.get_study_id_from_name(identity.name), False
        if not _is_ours(storage, study_id, directions, identity, is_new):
            raise UserError(
                f"storage {masked(identity.storage)}: holds a study called {identity.name!r}"
                " already; give the job another name"
            )
        storage.set_study_system_attr(study_id, _METRIC_NAMES, list(identity.objectives))
    except StorageInternalError as problem:  # locked by another process for too long, say
        reason = str(problem.__cause__ or problem).splitlines()
        raise UserError(
            f"storage {masked(url)}: cannot be written ({scrubbed(reason[0], url or '')})"
        ) from None
    finally:
        disconnect(storage)


def _is_ours(
    storage: BaseStorage,
    study_id: int,
    directions: Sequence[StudyDirection],
    identity: Identity,
    is_new: bool,
) -> bool:
    """Whether the study is this folder's: it made it, or took over what a dead process left."""
    from optuna.storages import _CachedStorage

    if not isinstance(storage, _CachedStorage) or identity.claim is None:
        return is_new
    if storage.get_study_directions(study_id) != directions:
        return False
    return take(storage._backend, study_id, identity.claim, is_new=is_new)


def delete_trials(identity: Identity, journal: Path) -> None:
    """Undo `create_trials`."""
    storage, study_id = open_trials(identity, journal)
    try:
        storage.delete_study(study_id)
    finally:
        disconnect(storage)


def open_trials(identity: Identity, journal: Path) -> tuple[BaseStorage, int]:
    """The storage, and the study's id in it.

    Raises:
        UserError: nobody has named its database (`database_url.named_database`), it cannot be
            reached, or the study is not in it.
        RecordError: the journal is missing or damaged.
    """
    if identity.storage is None and not journal.is_file():
        raise RecordError(f"{journal}: is missing; the candidates were recorded there")
    url = identity.storage and named_database(identity.storage)
    where = masked(url) if url else str(journal)
    try:
        storage = _connect(url, journal, is_new=False)
        study_id = storage.get_study_id_from_name(identity.name)
    except KeyError:
        raise UserError(f"{where}: holds no study called {identity.name!r}") from None
    if not is_of(storage, study_id, identity.claim):
        disconnect(storage)
        raise UserError(
            f"{where}: its study called {identity.name!r} is that of another folder; start this"
            " search again in a new folder, under another name"
        )
    return storage, study_id


def disconnect(storage: BaseStorage) -> None:
    """Give back what connects to the storage; once is enough."""
    from optuna.storages import _CachedStorage

    storage.remove_session()
    if isinstance(storage, _CachedStorage):
        storage._backend.engine.dispose()


def together(storage: BaseStorage) -> AbstractContextManager[None]:
    """A journal writes what the block writes in one append; a database has transactions of its own,
    one for each."""
    from optuna.storages import JournalStorage

    if isinstance(storage, JournalStorage) and isinstance(storage._backend, ChecksummedJournal):
        return storage._backend.together()
    return nullcontext()


def _connect(url: str | None, journal: Path, *, is_new: bool) -> BaseStorage:
    """The storage. Tables, and SQLite's file, are made only where the study `is_new`.

    Raises:
        KeyError: there is no such SQLite file, so no study in it.
    """
    from optuna.storages import JournalStorage, RDBStorage, _CachedStorage

    if url is None:
        try:
            return JournalStorage(cast("BaseJournalBackend", ChecksummedJournal(journal)))
        except RecordError:
            raise
        except OSError as problem:
            raise RecordError(f"{journal}: cannot be read ({problem.strerror})") from None
        except Exception as problem:  # noqa: BLE001 - Optuna's reader raises whatever comes up
            said = " ".join(f"{type(problem).__name__}: {problem}".split())
            raise RecordError(f"{journal}: is damaged ({said})") from None
    if not is_new and is_missing_file(url):
        raise KeyError(url)
    url = through_driver(url)
    try:
        storage = RDBStorage(url, engine_options(url), skip_table_creation=not is_new)
    except Exception as problem:  # noqa: BLE001 - SQLAlchemy and every driver have their own
        reason = scrubbed(str(problem), url).splitlines() or [type(problem).__name__]
        raise UserError(f"storage {masked(url)}: cannot be opened ({reason[0]})") from None
    if storage.engine.dialect.name == "sqlite":
        return _CachedStorage(storage)
    from evomerge.study.patience import PatientStorage

    wait_for_restarts(storage.engine, url)
    return PatientStorage(storage)
