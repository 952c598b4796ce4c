"""The simulated disk: real files in a folder of their own, and what a killed driver leaves of them.

What the driver wrote between two crossings nobody has seen, so a kill may have come at any byte of
it. The driver that was killed goes on unwinding in its own folder, and the next one finds another:
the state at the kill, cut.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from evomerge.held_folders import writer_name
from evomerge.publish import PARTIAL
from evomerge.simulation.plan import SimulatedFault
from evomerge.study.database_url import name_database
from evomerge.study.folder import StudyFolder

__all__ = ["DATABASE", "SimulatedDisk", "memory"]

JOURNAL, EXAMPLES, DATABASE = "journal.log", "examples", "studies.db"
_ROOM = 400
"""A disk that fills has up to so many bytes left for the journal, which is about two lines."""
_DEAD = 2**22 + 1
"""No process has this number."""


class SimulatedDisk:
    """A study's folder, which is another one after each kill."""

    def __init__(self, place: Path) -> None:
        """`place`: an empty folder; one in memory is quick."""
        self._place, self._kills = place, 0
        self._size, self._names = 0, set[str]()
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.is_full = False
        """Whether the journal cannot grow."""

    @property
    def folder(self) -> Path:
        """Where the study is now."""
        return self._place / str(self._kills) / "study"

    @property
    def is_study(self) -> bool:
        """Whether it is there."""
        return (self.folder / "study.json").exists()

    def make_room(self, *, is_empty_folder: bool) -> None:
        """Where a study may be made, in a folder that is there or is not."""
        (self.folder if is_empty_folder else self.folder.parent).mkdir(parents=True)

    def note(self) -> None:
        """Remember what is written by now: it stays, whatever happens next."""
        self._size, self._names = self._written()

    def fill(self, fault: SimulatedFault) -> None:
        """Let the journal end soon, in the middle of a line: the system's limit on a file's size
        stops a write where a full disk would."""
        size = self._written()[0] + int(fault.share * _ROOM)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._limits[1]))
        self.is_full = True

    def free(self) -> None:
        """Somebody has made room."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        self.is_full = False

    def cut(self, fault: SimulatedFault) -> None:
        """The driver is killed: the next one finds what was written by then, but for the end.

        `share` of what the journal got since the last note is there; of less than a quarter,
        not even the reports that were saved before it are whole.
        """
        self.free()
        if fault.kind != "driver killed":
            self._leave()
            return
        size, new_names = self._written()[0], sorted(self._written()[1] - self._names)
        self._leave()
        kept = self._size + round(fault.share * (size - self._size))
        if fault.share < 0.25 and new_names:
            kept = self._size
            for name in new_names:
                _undo(self.folder / EXAMPLES / name, is_begun=fault.share < 0.2)
        os.truncate(self.folder / JOURNAL, kept)
        if int(fault.share * 1000) % 3 == 0:  # it died between lock and unlock
            (self.folder / f"{JOURNAL}.lock").symlink_to(JOURNAL)

    def _leave(self) -> None:
        """The next driver finds what was on the disk, and the last one is no process any more."""
        old = self.folder.parent
        self._kills += 1
        shutil.copytree(old, self.folder.parent, symlinks=True)
        if (self.folder.parent / DATABASE).exists():
            self._move_database(str(old))

    def _move_database(self, old: str) -> None:
        """The copied study is in the copied database, and whoever claimed it is dead."""
        alive, dead = f"-{os.getpid()}.", f"-{_DEAD}."
        database, identity = self.folder.parent / DATABASE, self.folder / "study.json"
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "UPDATE study_system_attributes SET value_json = replace(value_json, ?, ?)",
                (alive, dead),
            )
        name_database(f"sqlite:///{database}?timeout=0.01")
        if identity.exists():
            said = StudyFolder(self.folder).read_identity()
            claim = (said.claim or "").replace(alive, dead)
            storage = (said.storage or "").replace(old, str(self.folder.parent))
            said = said.model_copy(update={"claim": claim, "storage": storage})
            identity.write_text(said.model_dump_json())

    def left_over(self) -> list[str]:
        """What should not be there once a driver has ended well."""
        names = [path.name for path in self.folder.parent.rglob("*")]
        return [name for name in names if name.endswith(PARTIAL) or name.startswith(f"{JOURNAL}.l")]

    def _written(self) -> tuple[int, set[str]]:
        journal = self.folder / JOURNAL
        if not journal.exists():
            return 0, set()
        return journal.stat().st_size, {path.name for path in (self.folder / EXAMPLES).iterdir()}


def memory() -> Path | None:
    """Where files are in memory, if there is such a place."""
    place = Path("/dev/shm")
    return place if os.access(place, os.W_OK) else None


def _undo(path: Path, *, is_begun: bool) -> None:
    if is_begun:
        partial = path.with_name(f".{path.name}.{writer_name()}{PARTIAL}")
        partial.mkdir()
        (partial / path.name).write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    path.unlink(missing_ok=True)
