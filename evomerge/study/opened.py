"""A study that is open: made or found, to be read or written, with all that it consists of or not
at all.

That is its folder, its candidates in Optuna's storage, the scores of examples, and where it has
artifacts its files elsewhere. Who writes holds the folder's lock and, with artifacts, a lease in
the database; the time that this takes is the time spent on the search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evomerge.errors import RecordError
from evomerge.recipe.genome import Gene
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.creation import create_study
from evomerge.study.database_url import masked
from evomerge.study.examples import Examples
from evomerge.study.fetching import remove_study
from evomerge.study.folder import StudyFolder
from evomerge.study.guarding import guard_passwords
from evomerge.study.journal import repair_journal
from evomerge.study.lease import Lease
from evomerge.study.lock import Writer, WriterLock, writer_of
from evomerge.study.trials import Trials

__all__ = ["OpenStudy"]

Clock = Callable[[], float]
"""Seconds since whenever; it never goes back."""


class OpenStudy:
    """Whose it is, and the right to write it, from its opening to its closing."""

    def __init__(
        self, folder: StudyFolder, lock: WriterLock | None, clock: Clock = time.monotonic
    ) -> None:
        """Open it; with the folder's `lock` for writing, and what a dead writer left is mended.

        Raises:
            UserError, RecordError: as `open`. Nothing but the lock is held then.
        """
        self._clock, self._began = clock, clock()
        self._folder, self._lock = folder, lock
        self._identity = folder.read_identity()
        self._job = folder.read_job()
        storage = self._job.get("storage")
        guard_passwords(
            {folder.identity: self._identity.storage, folder.job: storage}, write=lock is not None
        )
        if isinstance(storage, str):
            self._job["storage"] = masked(storage)
        if lock is not None:
            folder.sweep()
            if self._identity.storage is None:
                repair_journal(folder.journal)
        self._trials = Trials(self._identity, folder.journal, alone=lock is not None)
        recorded = self._identity.artifacts
        self._elsewhere = None if recorded is None else ArtifactFolder(recorded, is_recorded=True)
        self._lease: Lease | None = None
        try:
            if lock is not None and self._elsewhere is not None:
                self._lease = self._trials.hold(self._elsewhere.url)
                self._elsewhere.sweep()
            self._examples = Examples(folder.examples, self._elsewhere, alone=lock is not None)
            self._spent_before = self._seconds_recorded()
        except BaseException:
            self._release()
            raise

    @classmethod
    def create(
        cls,
        folder: Path | str,
        *,
        name: str,
        job: Mapping[str, Any],
        genes: Sequence[Gene],
        objectives: Sequence[str] = ("fitness",),
        storage_url: str | None = None,
        artifacts: str | None = None,
        clock: Clock = time.monotonic,
    ) -> Self:
        """A new study in a new or empty folder, open for writing.

        Args:
            job: the resolved job, as JSON-able data; a search resumes from it.
            genes: the search space's genes, in the genome's order.
            objectives: the names of the fitness's numbers, each maximised.
            storage_url: a database to record candidates in, or `env:NAME` for a variable that holds
                its URL; None for a journal in the folder. No file gets its password.
            artifacts: the URL of a folder below which the study's files are kept in one of its
                name, or `env:NAME`; beside a database only.
            clock: what `seconds_spent` is measured by.

        Raises:
            UserError: the folder holds another study or anything else, or the database cannot be
                reached or holds a study of that name. Nothing has been written then.
        """
        lock = create_study(
            Path(folder),
            name=name,
            job=job,
            genes=genes,
            objectives=objectives,
            storage_url=storage_url,
            artifacts=artifacts,
        )
        return cls._opened_by(StudyFolder(Path(folder)), lock, clock)

    @classmethod
    def open(cls, folder: Path | str, *, write: bool, clock: Clock = time.monotonic) -> Self:
        """An existing study: to go on with it (`write`), or to look at it while another writes.

        `clock`: what `seconds_spent` is measured by.

        Raises:
            UserError: there is no study, its database cannot be reached, or another process writes.
            RecordError: the record is damaged or contradicts itself.
        """
        study_folder = StudyFolder(Path(folder))
        study_folder.read_identity()
        lock = WriterLock(study_folder.lock) if write else None
        return cls._opened_by(study_folder, lock, clock)

    @classmethod
    def _opened_by(cls, study_folder: StudyFolder, lock: WriterLock | None, clock: Clock) -> Self:
        try:
            return cls(study_folder, lock, clock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def discard(self, *, keep_folder: bool = False) -> None:
        """Remove a study of which no candidate was told, wherever it lies: as if it had never been
        made.

        `keep_folder`: leave the folder, empty, as it was before.

        Raises:
            RecordError: a candidate was told, so that something is on record.
            UserError, InfrastructureError: its files elsewhere cannot be removed.
        """
        self._check_writing()
        if any(candidate.told is not None for candidate in self._trials.candidates()):
            raise RecordError(f"{self.path}: holds candidates that were told, and is kept")
        self._release_lease()
        self._trials.delete()
        if self._elsewhere is not None:
            remove_study(self._elsewhere)
        self._folder.remove(keep=keep_folder)
        self._release_lock()

    def close(self) -> None:
        """Note the time spent and let the next writer in; once is enough."""
        try:
            if self._lock is not None:
                self._trials.note_seconds(self.seconds_spent)
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The study's folder."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The study's name."""
        return self._identity.name

    @property
    def job(self) -> Mapping[str, Any]:
        """The resolved job, as given to `create`."""
        return self._job

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes of the search space."""
        return self._identity.genes

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of the fitness's numbers, each maximised."""
        return self._identity.objectives

    @property
    def writer(self) -> Writer:
        """Who searches in this study at the moment, or did last."""
        if self._elsewhere is not None:
            return self._trials.writer()
        return writer_of(self._folder.lock)

    @property
    def seconds_spent(self) -> float:
        """Wall time of searching over all sittings.

        The clock runs while a writer is open. Where a writer was killed, its time counts up to its
        last ask or tell.
        """
        if self._lock is None:
            return self._seconds_recorded()
        return self._spent_before + self._clock() - self._began

    def _check_writing(self) -> None:
        """To be called before a write.

        Raises:
            RecordError: it is not open for writing, or another driver has taken it over.
        """
        if self._lock is None:
            raise RecordError(f"{self.path}: the study is not open for writing")
        if self._lease is not None:
            self._lease.check()

    def _seconds_recorded(self) -> float:
        marks = [self._trials.seconds_noted]
        for candidate in self._trials.candidates():
            marks += [candidate.asked_s, candidate.told_s or 0.0]
            marks += [stage.ended_s for stage in candidate.stages]
        return max(marks)

    def _release(self) -> None:
        """Give all of it back; once is enough."""
        try:
            self._release_lease()
        finally:
            self._trials.disconnect()
            self._release_lock()

    def _release_lease(self) -> None:
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
