"""The status message of a job that was submitted to Ray, which Ray's dashboard lists beside it.

Ray has no public call by which a job's driver says how it stands: the message is a field of the
job's entry in the head's table, written by Ray alone (2.60, `ray.dashboard.modules.job`). It is
replaced there through the class that Ray itself writes it with. A Ray without that class, or with
another one, shows its own message.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import threading

from evomerge.reading.json_text import parse_json

__all__ = ["JobMessage", "replace_message", "submission_id"]

log = logging.getLogger(__name__)

EVERY_S = 5.0
"""The message is written at most so often."""


def submission_id() -> str | None:
    """The id of the job that this process is the driver of; None where nobody submitted it."""
    about = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR")
    if about is None:
        return None
    metadata = parse_json(about.encode(), origin="Ray's job").get("metadata", {})
    id_ = metadata.get("job_submission_id")
    return None if id_ is None else str(id_)


class JobMessage:
    """Says in a thread of its own where the search stands; the head may be slow, or gone."""

    def __init__(self, id_: str | None) -> None:
        """`id_`: of the submitted job; None: there is no place for a message."""
        self._id = id_
        self._said = ""
        self._is_news = threading.Event()
        self._is_over = threading.Event()
        if id_ is not None:
            threading.Thread(target=self._run, name="evomerge-message", daemon=True).start()

    def say(self, message: str) -> None:
        """Replace the message soon."""
        if message != self._said:
            self._said = message
            self._is_news.set()

    def close(self) -> None:
        """Write nothing any more: whatever comes now is Ray's to say."""
        self._is_over.set()
        self._is_news.set()

    def _run(self) -> None:
        try:
            while True:
                self._is_news.wait()
                if self._is_over.is_set():
                    return
                self._is_news.clear()
                asyncio.run(replace_message(str(self._id), self._said))
                self._is_over.wait(EVERY_S)
        except Exception as problem:  # noqa: BLE001 - whatever Ray has against it
            log.warning("no more status messages: %s: %s", type(problem).__name__, problem)


async def replace_message(id_: str, message: str) -> None:
    """Replace the message of a job that runs; of any other Ray has the last word."""
    from ray.dashboard.modules.job.common import JobInfoStorageClient
    from ray.experimental.internal_kv import internal_kv_get_gcs_client
    from ray.job_submission import JobStatus

    jobs = JobInfoStorageClient(internal_kv_get_gcs_client())
    info = await jobs.get_info(id_)
    if info is not None and info.status == JobStatus.RUNNING:
        await jobs.put_info(id_, dataclasses.replace(info, message=message))
