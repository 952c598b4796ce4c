"""Who writes a study that lies in no folder of one machine: noted in its database, beat by beat.

A lock of a file ends at its machine. So the writer of a study with artifacts puts its name into
the study's row, with the time by the database's clock, and again every few seconds. Another driver
is refused while it does so, and takes the study over once nothing was heard for `SILENT_S` seconds:
the first one's node has died, or was cut off. One that comes back finds that out before it writes
anything: it writes only while its last beat is younger than two thirds of that, and each use of a
connection to the database is asked for that, also of one that was waited for.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evomerge.errors import RecordError, UserError
from evomerge.held_folders import is_gone, writer_name
from evomerge.reading.json_text import parse_json
from evomerge.study.claim import swap
from evomerge.study.lock import Writer

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Connection

__all__ = ["SILENT_S", "WRITER", "Lease", "noted_writer"]

WRITER = "evomerge:writer"
"""The study's system attribute that says who writes it."""
BEAT_S = 5.0
SILENT_S = 60.0
"""Seconds without a beat after which another driver may take a study over."""


class Lease:
    """The right to write a study, until it is released, or not renewed for `SILENT_S` seconds."""

    def __init__(
        self,
        storage: RDBStorage,
        study_id: int,
        called: str,
        *,
        beat_s: float = BEAT_S,
        silent_s: float = SILENT_S,
    ) -> None:
        """Take it. `called` is what messages call the study.

        Raises:
            UserError: another driver has it.
        """
        from sqlalchemy import event

        self._engine, self._study_id, self._called = storage.engine, study_id, called
        self._beat_s, self._silent_s = beat_s, silent_s
        self._name = writer_name()
        self._said = f"process {os.getpid()} on {socket.gethostname()}"
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._taken_by: str | None = None
        self._own = threading.local()
        self._take()
        self._beat_at = time.monotonic()
        event.listen(self._engine, "engine_connect", self._check_connection)
        self._beating = threading.Thread(target=self._go_on, name="lease", daemon=True)
        self._beating.start()

    def check(self) -> None:
        """To be called before a write.

        Raises:
            RecordError: another driver has taken the study over; nothing may be written.
        """
        if self._taken_by is None and time.monotonic() - self._beat_at > self._silent_s * 2 / 3:
            self._beat()
        if self._taken_by is not None:
            raise RecordError(
                f"{self._called}: the study is written by {self._taken_by} now, which took it over"
                f" when nothing was heard of this process for {self._silent_s:.0f} s; what that"
                " one records counts, and nothing more is written here"
            )

    def release(self) -> None:
        """Let the next writer in at once; once is enough."""
        if self._over.is_set():
            return
        self._over.set()
        self._beating.join(self._beat_s)
        if self._taken_by is not None or self._beating.is_alive():
            return
        from sqlalchemy import text

        statement = (
            "DELETE FROM study_system_attributes"
            " WHERE study_id = :id AND key = :key AND value_json = :old"
        )
        values = {"id": self._study_id, "key": WRITER, "old": self._written}
        with self._asking() as connection:
            connection.execute(text(statement), values)

    def _take(self) -> None:
        with self._asking() as connection:
            there, now = _read(connection, self._study_id), _clock(connection)
            if there is not None and (holder := _parsed(there)):
                silent = max(0.0, now - holder["at"])
                if silent < self._silent_s and not is_gone(holder["name"]):
                    raise UserError(
                        f"{self._called}: the study is being written by {holder['said']}, heard of"
                        f" {silent:.0f} s ago; stop that search first, or wait for its end (if its"
                        f" machine has died, try again in {self._silent_s - silent:.0f} s)"
                    )
                logging.getLogger("evomerge").warning(
                    "warning: %s: taken over from %s, of which nothing was heard for %.0f s",
                    self._called,
                    holder["said"],
                    silent,
                )
            self._written = self._line(now)
            if not swap(connection, self._study_id, WRITER, there, self._written):
                raise UserError(
                    f"{self._called}: another process has begun to write the study just now; stop"
                    " that search first, or wait for its end"
                )

    def _go_on(self) -> None:
        while not self._over.wait(self._beat_s):
            try:
                self._beat()
            except Exception:  # noqa: BLE001 - the database is away: `check` will wait for it
                continue
            if self._taken_by is not None:
                return

    def _beat(self) -> None:
        with self._turn, self._asking() as connection:
            began = time.monotonic()
            there = _read(connection, self._study_id)
            holder = None if there is None else _parsed(there)
            if there is None or holder is None or holder["name"] != self._name:
                self._taken_by = holder["said"] if holder else "another process"
                return
            new = self._line(_clock(connection))
            if swap(connection, self._study_id, WRITER, there, new):
                self._written, self._beat_at = new, began

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        """A transaction about the lease itself."""
        self._own.is_asking = True
        try:
            with self._engine.begin() as connection:
                yield connection
        finally:
            self._own.is_asking = False

    def _check_connection(self, connection: Connection) -> None:
        if not getattr(self._own, "is_asking", False) and not self._over.is_set():
            self.check()

    def _line(self, now: float) -> str:
        return json.dumps({"name": self._name, "said": self._said, "at": now})


def noted_writer(storage: RDBStorage, study_id: int) -> Writer:
    """Who writes a study, by its row, and whether it was heard of lately."""
    with storage.engine.begin() as connection:
        there, now = _read(connection, study_id), _clock(connection)
    holder = None if there is None else _parsed(there)
    if holder is None:
        return Writer("nobody", False)
    return Writer(holder["said"], now - holder["at"] < SILENT_S and not is_gone(holder["name"]))


def _read(connection: Connection, study_id: int) -> str | None:
    from sqlalchemy import text

    statement = "SELECT value_json FROM study_system_attributes WHERE study_id = :id AND key = :key"
    return connection.execute(text(statement), {"id": study_id, "key": WRITER}).scalar()


def _clock(connection: Connection) -> float:
    """Seconds by the database's clock, which all who ask it share."""
    from sqlalchemy import func, select

    now: datetime = connection.execute(select(func.current_timestamp())).scalar_one()
    return (now if now.tzinfo else now.replace(tzinfo=UTC)).timestamp()


def _parsed(line: str) -> dict[str, Any] | None:
    """Who writes; None where the row says nothing that can be read."""
    try:
        holder = parse_json(line.encode(), origin="", error=RecordError)
        return {"name": str(holder["name"]), "said": str(holder["said"]), "at": float(holder["at"])}
    except (RecordError, ValueError, TypeError, KeyError):
        return None
