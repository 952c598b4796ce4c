"""What a study that is open consists of, and the right to write it: all of it is had, or nothing.

Its folder, its candidates in Optuna's storage, the scores of examples, and where it has artifacts
its files elsewhere. Who writes holds the folder's lock and, with artifacts, a lease in the
database.
"""

from __future__ import annotations

from evomerge.errors import RecordError
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.database_url import masked
from evomerge.study.examples import Examples
from evomerge.study.fetching import remove_study
from evomerge.study.folder import StudyFolder
from evomerge.study.guarding import guard_passwords
from evomerge.study.journal import repair_journal
from evomerge.study.lease import Lease
from evomerge.study.lock import Writer, WriterLock, writer_of
from evomerge.study.trials import Trials

__all__ = ["Parts"]


class Parts:
    """Those of one study, from its opening to its closing."""

    def __init__(self, folder: StudyFolder, lock: WriterLock | None) -> None:
        """Open them; with the folder's `lock` for writing, and what a dead writer left is mended.

        Raises:
            UserError, RecordError: as `Study.open`. Nothing but the lock is held then.
        """
        self.folder, self._lock = folder, lock
        self.identity = folder.read_identity()
        self.job = folder.read_job()
        storage = self.job.get("storage")
        guard_passwords(
            {folder.identity: self.identity.storage, folder.job: storage}, write=lock is not None
        )
        if isinstance(storage, str):
            self.job["storage"] = masked(storage)
        if lock is not None:
            folder.sweep()
            if self.identity.storage is None:
                repair_journal(folder.journal)
        self.trials = Trials(self.identity, folder.journal, alone=lock is not None)
        recorded = self.identity.artifacts
        self._elsewhere = None if recorded is None else ArtifactFolder(recorded, is_recorded=True)
        self._lease: Lease | None = None
        try:
            if lock is not None and self._elsewhere is not None:
                self._lease = self.trials.hold(self._elsewhere.url)
                self._elsewhere.sweep()
            self.examples = Examples(folder.examples, self._elsewhere, alone=lock is not None)
        except BaseException:
            self.close()
            raise

    @property
    def are_writable(self) -> bool:
        """Whether they were opened for writing, and not closed since."""
        return self._lock is not None

    @property
    def writer(self) -> Writer:
        """Who searches in the study at the moment, or did last."""
        if self._elsewhere is not None:
            return self.trials.writer()
        return writer_of(self.folder.lock)

    def check_writing(self) -> None:
        """To be called before a write.

        Raises:
            RecordError: it is not open for writing, or another driver has taken it over.
        """
        if self._lock is None:
            raise RecordError(f"{self.folder.path}: the study is not open for writing")
        if self._lease is not None:
            self._lease.check()

    def remove(self, *, keep_folder: bool) -> None:
        """Remove the study, wherever it lies, and let the next one in.

        `keep_folder`: leave the folder, empty.

        Raises:
            UserError, InfrastructureError: its files elsewhere cannot be removed.
        """
        self._release_lease()
        self.trials.delete()
        if self._elsewhere is not None:
            remove_study(self._elsewhere)
        self.folder.remove(keep=keep_folder)
        self._release_lock()

    def close(self) -> None:
        """Give all of it back, and let the next writer in; once is enough."""
        try:
            self._release_lease()
        finally:
            self.trials.disconnect()
            self._release_lock()

    def _release_lease(self) -> None:
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
