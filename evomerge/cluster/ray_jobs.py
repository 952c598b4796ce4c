"""Ray's own client of its Jobs API, with limits on how long it waits, and one sentence a fault."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from evomerge.cluster.greeting import TOKEN
from evomerge.cluster.jobs import ARTIFACTS, FOLDER, OWNER, PYTHON, STUDY, State, SubmittedJob
from evomerge.cluster.reach import reach
from evomerge.errors import EvomergeError, InfrastructureError, UserError
from evomerge.wording import in_one_line

__all__ = ["RayJobs"]

FIRST_S = (4.0, 7.0)
"""How long a connection, and how long the first answer may take: whether this is a dashboard."""
LATER_S = (10.0, 300.0)
"""The same once it is known to be one: it may be busy, or the job's files are on their way."""

_CHOSEN = "RAY_API_SERVER_ADDRESS"
"""Ray's client believes this variable, and RAY_ADDRESS, before it believes its argument."""
_IS_TAKEN = re.compile(r"submission_id \S+ already exists")
_IS_ANOTHER = "Jobs API is not supported"
"""What Ray's client says of a server that does not know its address."""
_TOO_LARGE = re.compile(r"[^\n.]*exceeds the maximum size[^\n.]*")


class RayJobs:
    """Implements `Jobs`."""

    def __init__(self, address: str) -> None:
        """
        Raises:
            UserError: as `connect`.
        """
        self.address = _checked(address)
        with _about(self.address), _only(self.address):
            self._client = _Client(self.address)
        self._client.patience_s = LATER_S
        self.ray = str(self._client._server_ray_version)

    def submit(
        self,
        id_: str,
        entrypoint: str,
        *,
        files: Path | None,
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
        node: str | None = None,
    ) -> None:
        """See `Jobs`."""
        runtime: dict[str, Any] = {"env_vars": dict(environment)}
        if files is not None:
            runtime["working_dir"] = str(files)
        with _about(self.address):
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=id_,
                runtime_env=runtime,
                metadata=dict(metadata),
                entrypoint_label_selector=None if node is None else {"ray.io/node-id": node},
            )

    def all(self) -> list[SubmittedJob]:
        """See `Jobs`."""
        with _about(self.address):
            listed = self._client.list_jobs()
        searches = [job for job in map(_read, listed) if job.study]
        return sorted(searches, key=lambda job: job.began or 0.0)

    def get(self, id_: str) -> SubmittedJob | None:
        """See `Jobs`."""
        try:
            with _about(self.address):
                return _read(self._client.get_job_info(id_))
        except InfrastructureError as problem:
            if "status code 404" in str(problem):
                return None
            raise

    def logs(self, id_: str) -> str:
        """See `Jobs`."""
        with _about(self.address):
            return str(self._client.get_job_logs(id_))

    def follow(self, id_: str) -> Iterator[str]:
        """See `Jobs`."""
        pieces = self._client.tail_job_logs(id_)
        loop = asyncio.new_event_loop()
        waiting: asyncio.Future[str] | None = None
        try:
            with _about(self.address):
                while True:
                    waiting = asyncio.ensure_future(anext(pieces), loop=loop)
                    try:
                        yield loop.run_until_complete(waiting)
                    except StopAsyncIteration:
                        return
        finally:
            if waiting is not None and not waiting.done():  # Ctrl-C while nothing came
                waiting.cancel()
                with suppress(asyncio.CancelledError):
                    loop.run_until_complete(waiting)
            loop.run_until_complete(pieces.aclose())  # type: ignore[attr-defined]
            loop.close()

    def stop(self, id_: str) -> None:
        """See `Jobs`."""
        with _about(self.address):
            self._client.stop_job(id_)

    def forget(self, id_: str) -> None:
        """See `Jobs`."""
        with _about(self.address):
            self._client.delete_job(id_)


class _Client(JobSubmissionClient):
    """Ray's client, which would wait for ever where a cluster has stopped to answer."""

    patience_s = FIRST_S

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        return super()._do_request(method, endpoint, **{"timeout": self.patience_s} | options)


def _checked(address: str) -> str:
    """The address as Ray's client is given it: of HTTP alone, since it would import a module that
    an address of another kind names.

    Raises:
        UserError: it is no such address, or nobody listens there.
    """
    full = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(full)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    has_more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not host or parts.username or has_more:
        shown = address.rpartition("@")[2]  # what stands before it may be a password
        raise UserError(
            f"--address {shown}: the address of a Ray dashboard is wanted, http://HOST:8265, as"
            " `ray start --head` prints it"
        )
    try:
        reach(host, port or (443 if parts.scheme == "https" else 80))
    except OSError as problem:
        raise UserError(
            f"--address {address}: nobody answers there ({problem.strerror or problem}); it has to"
            " be the dashboard of a Ray that runs (port 8265), reachable from here"
        ) from None
    return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def _only(address: str) -> Iterator[None]:
    """Let Ray's client take this address, and say nothing beside it."""
    before = os.environ.get(_CHOSEN)
    os.environ[_CHOSEN] = address
    for chatty in ("dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging"):
        logging.getLogger(f"ray.{chatty}").setLevel(logging.ERROR)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CHOSEN]
        else:
            os.environ[_CHOSEN] = before


@contextmanager
def _about(address: str) -> Iterator[None]:
    """Turn what Ray's client and its libraries raise into a sentence of ours."""
    try:
        yield
    except EvomergeError:
        raise
    except AuthenticationError as problem:
        said = (
            "no token was sent" if "required" in str(problem) else "the token is not the right one"
        )
        raise UserError(
            f"{address}: the cluster lets nobody in without its token, and {said}; {TOKEN}"
        ) from None
    except requests.exceptions.SSLError as problem:
        raise UserError(f"{address}: its certificate is not trusted ({_line(problem)})") from None
    except (
        requests.exceptions.Timeout,
        requests.exceptions.ConnectionError,
        aiohttp.ClientError,
        ConnectionError,
    ) as problem:
        raise UserError(
            f"{address}: it does not answer as a Ray dashboard does ({_line(problem)})"
        ) from None
    except (requests.exceptions.RequestException, ValueError, KeyError, TypeError) as problem:
        raise UserError(f"{address}: this is no Ray dashboard ({_line(problem)})") from None
    except RuntimeError as problem:
        said = str(problem)
        if _IS_TAKEN.search(said):
            raise UserError(
                f"{address}: another job took this id at the same moment; submit it once more"
            ) from None
        if large := _TOO_LARGE.search(said):
            raise UserError(
                f"{address}: the job's files are too large ({large[0].strip()})"
            ) from None
        if _IS_ANOTHER in said:
            raise UserError(f"{address}: this is no Ray dashboard ({_line(problem)})") from None
        raise InfrastructureError(f"{address}: {_line(problem)}") from None


def _line(problem: Exception) -> str:
    """A fault of a library in one line that a person may read to its end."""
    said = in_one_line(problem)
    return said if len(said) <= 300 else f"{said[:150]} ... {said[-150:]}"


def _read(job: Any) -> SubmittedJob:
    metadata = job.metadata or {}
    return SubmittedJob(
        id=job.submission_id or job.job_id or "",
        study=metadata.get(STUDY, ""),
        owner=metadata.get(OWNER, ""),
        folder=metadata.get(FOLDER, ""),
        artifacts=metadata.get(ARTIFACTS),
        python=metadata.get(PYTHON, "python"),
        state=cast(State, str(job.status)),
        message=job.message or "",
        began=job.start_time and job.start_time / 1000,
        ended=job.end_time and job.end_time / 1000,
        node=job.driver_node_id,
    )
