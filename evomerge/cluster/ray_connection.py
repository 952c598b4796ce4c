"""A connection to Ray: found or started, watched while a search runs, and what its cluster has."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.job_config import JobConfig

from evomerge.cluster.attention import Attention
from evomerge.cluster.config import RayConfig
from evomerge.cluster.greeting import greet
from evomerge.cluster.ray_messages import silence
from evomerge.cluster.ray_pulse import RayPulse
from evomerge.cluster.ray_sessions import end_agents, mark, sweep_sessions
from evomerge.cluster.reach import reach
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.held_folders import HeldFolder
from evomerge.interruption import renew
from evomerge.trust import without_working_directory
from evomerge.wording import in_one_line

__all__ = ["RayConnection"]

OBJECT_STORE_BYTES = 128 << 20
"""For a Ray started here: only recipes and reports pass through its object store."""

CURE = "start one with 'ray start --head', or leave the address out to start one here"

PULSE_S = 2.0
"""How often Ray is asked whether it lives."""
SILENT_S = 5.0
"""Without an answer for so long, it is silent."""


class RayConnection:
    """Ray, connected to or started here, and ended in `close` only where it was started here.

    A call to a Ray whose head has gone may never return, so a thread of its own asks; the search
    reads the last answer, and how old it is: in seconds in which the search itself went on.
    """

    def __init__(self, config: RayConfig, study: str = "evomerge") -> None:
        """`study`: what Ray's dashboard calls the job of this connection.

        Raises:
            ConfigError: there is no cluster at the address, or none that can be used.
            InfrastructureError: Ray does not start here.
        """
        self._timeout_s = config.ray_timeout_s
        self._address = config.address
        self._is_ours = not ray.is_initialized()
        self._mark: HeldFolder | None = None
        """That the session is this process's; None where it was not started here."""
        try:
            self.url, self._mark = _connect(config, study) if self._is_ours else ("", None)
            """The dashboard's; empty where there is none, or where Ray was there before."""
        except BaseException:  # Ctrl-C while Ray starts here
            if self._is_ours:
                ray.shutdown()
            raise
        renew()
        self._node = ray.get_runtime_context().get_node_id()
        self.total: Mapping[str, float] = ray.cluster_resources()
        """Resource -> how much the cluster has; as of the last answer, like `free`."""
        self.free: Mapping[str, float] = ray.available_resources()
        self.gone: Collection[str] = ()
        """Ids of the nodes that were lost; as of the last answer."""
        self.leaving: Collection[str] = ()
        """Ids of the nodes that Ray drains: spot nodes that were given notice, say."""
        self._pulse = self._find_pulse()
        self._lost: str | None = None
        """What of Ray has died; None while all lives."""
        self._answers = self._heard = 0
        """How often Ray has answered, and how often as of the last `check`."""
        self._attention = Attention()
        self._heard_s = self._attention.now_s()
        self._answered_s = time.monotonic()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="evomerge-ray", daemon=True).start()

    @property
    def access(self) -> str:
        """Who can reach a Ray that was started here, for a person; "" where nothing is to be said.

        Ray sets the variable when it starts, unless the user has turned tokens off.
        """
        if not self._is_ours or self._address is not None:
            return ""
        if os.environ.get("RAY_AUTH_MODE") == "token":
            token = "it asks for a token: ray get-auth-token; " if self.url else ""
            return f" ({token}Ray's other ports are open to the network, see docs/security.md)"
        return (
            " (warning: Ray asks for no token, so whoever reaches this machine's ports can run code"
            " here; leave RAY_AUTH_MODE unset)"
        )

    @property
    def is_silent(self) -> bool:
        """Whether Ray has not answered for some seconds, or this process has not asked."""
        return time.monotonic() - self._answered_s > SILENT_S

    def check(self) -> None:
        """
        Raises:
            InfrastructureError: this node's part of Ray has died, or Ray has not answered for long.
        """
        now_s = self._attention.now_s()
        if self._answers != self._heard:
            self._heard, self._heard_s = self._answers, now_s
        silent_s = now_s - self._heard_s
        if self._lost is not None:
            reason = f"Ray has lost {self._lost}"
        elif silent_s > self._timeout_s:
            reason = f"Ray has not answered for {silent_s:.0f} s: its head node may have died"
        else:
            return
        raise InfrastructureError(f"{reason}; `evomerge resume` goes on once Ray runs again")

    def close(self) -> None:
        """End the watch, and Ray where it was started here."""
        self._ended.set()
        if self._is_ours:
            ray.shutdown()
        if self._mark is not None:
            end_agents(self._mark.path.parent)
            self._mark.remove()

    def _find_pulse(self) -> RayPulse:
        (here,) = [node for node in ray.nodes() if node["NodeID"] == self._node]
        is_head_ours = self._is_ours and self._address is None
        head = ray.get_runtime_context().gcs_address if is_head_ours else None
        return RayPulse(here["RayletSocketName"], head)

    def _watch(self) -> None:
        while not self._ended.wait(min(PULSE_S, self._timeout_s / 4)):
            self._lost = self._pulse.lost()
            if self._lost is not None:
                return
            try:
                nodes = ray.nodes()
                here = [node for node in nodes if node["NodeID"] == self._node]
                if not (here and here[0]["Alive"]):
                    self._lost = "this machine: it takes it for dead"
                    return
                self.gone = frozenset(node["NodeID"] for node in nodes if not node["Alive"])
                self.leaving = _draining()
                self.total, self.free = ray.cluster_resources(), ray.available_resources()
            except Exception:  # noqa: BLE001 - whatever the fault is, silence tells it
                continue
            self._answers += 1
            self._answered_s = time.monotonic()


def _draining() -> frozenset[str]:
    """Ids of the nodes that Ray drains; none where this version of Ray does not tell."""
    try:  # Ray has no public way to ask this
        asked: Any = importlib.import_module("ray._private.state").state.get_draining_nodes
    except AttributeError:
        return frozenset()
    return frozenset(asked())


class _OwnPath(JobConfig):
    """Ray would put the driver's working directory, and its script's, at the head of every worker's
    path, where `numpy.py` may be anybody's. It does not where a job has a working directory of its
    own, which is all that this says."""

    def _runtime_env_has_working_dir(self) -> bool:
        return True


def _connect(config: RayConfig, study: str) -> tuple[str, HeldFolder | None]:
    """Connect to the address, or start Ray here: the dashboard's URL where there is one, and the
    mark of the session where it was started here."""
    if config.address is not None:
        _reach(config.address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    started_here: dict[str, Any] = {}
    if config.address is None:
        started_here = {
            "include_dashboard": config.dashboard,
            "dashboard_host": "127.0.0.1",
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    try:
        with without_working_directory():
            context: Any = ray.init(
                config.address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                job_config=_OwnPath(metadata={"job_name": study, "study": study}),
                **started_here,
            )
    except (ConnectionError, ValueError) as problem:
        raise ConfigError(
            f"cluster.address: no Ray cluster at {config.address!r} ({problem}); {CURE}"
        ) from None
    except Exception as problem:  # Ray raises just that where a node does not start in time
        said = in_one_line(problem)
        if config.address is not None:
            raise ConfigError(
                f"cluster.address: the Ray cluster at {config.address!r} cannot be used ({said})"
            ) from problem
        raise InfrastructureError(f"Ray does not start on this machine ({said})") from problem
    silence()
    marked = None
    if config.address is None:
        _guard_token()
        marked = _take_place(Path(context.address_info["session_dir"]))
    url = str(context.dashboard_url or "")
    return f"http://{url}" if url else "", marked


def _take_place(session: Path) -> HeldFolder | None:
    """Mark the session that was started here, and sweep those whose drivers were killed."""
    try:
        marked = mark(session)
    except OSError:  # Ray would have failed on such a disk; nothing is swept then, that is all
        return None
    sweep_sessions(session.parent)
    return marked


def _guard_token() -> None:
    """Nobody else on this machine may read the token that Ray has put into the user's folder."""
    token = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):  # there is none, or it is on a disk without modes
        token.chmod(0o600)


def _reach(address: str) -> None:
    """
    Raises:
        ConfigError: nobody listens at a host and a port, or it is no cluster that lets us in;
            other ways to say it are left to Ray.
    """
    # Ray asks its own variable where it is to look for itself, and finds a token by itself then.
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, _, port = named.rpartition(":")
    if not port.isdecimal():
        return
    try:
        reach(host.strip("[]"), int(port))
    except OSError as problem:
        raise ConfigError(
            f"cluster.address: no Ray cluster at {named!r} ({problem}); {CURE}"
        ) from None
    if address != "auto":
        greet(address)
