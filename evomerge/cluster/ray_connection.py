"""A connection to Ray: found or started, watched while a search runs, and what its cluster has."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import ray

from evomerge.cluster.config import RayConfig
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.interruption import renew

__all__ = ["RayConnection"]

OBJECT_STORE_BYTES = 128 << 20
"""For a Ray started here: only recipes and reports pass through its object store."""

REACH_S = 10.0
"""How long a cluster's head may take to answer; Ray itself would ask for minutes, in silence."""

CURE = "start one with 'ray start --head', or leave the address out to start one here"

PULSE_S = 2.0
"""How often Ray is asked whether it lives."""


class RayConnection:
    """Ray, connected to or started here, and ended in `close` only where it was started here.

    A call to a Ray whose head has gone may never return, so a thread of its own asks; the search
    reads the last answer, and how old it is.
    """

    def __init__(self, config: RayConfig) -> None:
        """
        Raises:
            ConfigError: there is no cluster at the address, or none that can be used.
            InfrastructureError: Ray does not start here.
        """
        self._timeout_s = config.ray_timeout_s
        self._is_ours = not ray.is_initialized()
        try:
            self.url = _connect(config) if self._is_ours else ""
        except BaseException:  # Ctrl-C while Ray starts here
            if self._is_ours:
                ray.shutdown()
            raise
        """The dashboard's; empty where there is none, or where Ray was there before."""
        renew()
        self._node = ray.get_runtime_context().get_node_id()
        self.total: Mapping[str, float] = ray.cluster_resources()
        """Resource -> how much the cluster has; as of the last answer, like `free`."""
        self.free: Mapping[str, float] = ray.available_resources()
        self._lives = True
        self._answered = time.monotonic()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="evomerge-ray", daemon=True).start()

    def check(self) -> None:
        """
        Raises:
            InfrastructureError: this node's part of Ray has died, or Ray has not answered for long.
        """
        silent_s = time.monotonic() - self._answered
        if not self._lives:
            reason = "Ray has lost this machine: its raylet has died"
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

    def _watch(self) -> None:
        while not self._ended.wait(min(PULSE_S, self._timeout_s / 4)):
            try:
                here = [node for node in ray.nodes() if node["NodeID"] == self._node]
                self._lives = bool(here and here[0]["Alive"])
                self.total, self.free = ray.cluster_resources(), ray.available_resources()
            except Exception:  # noqa: BLE001 - whatever the fault is, silence tells it
                continue
            self._answered = time.monotonic()


def _connect(config: RayConfig) -> str:
    """Connect to the address, or start Ray here; the dashboard's URL where there is one."""
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
        context = ray.init(
            config.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **started_here,
        )
    except (ConnectionError, ValueError) as problem:
        raise ConfigError(
            f"cluster.address: no Ray cluster at {config.address!r} ({problem}); {CURE}"
        ) from None
    except (OSError, RuntimeError) as problem:
        said = " ".join(str(problem).split())
        if config.address is not None:
            raise ConfigError(
                f"cluster.address: the Ray cluster at {config.address!r} cannot be used ({said})"
            ) from problem
        raise InfrastructureError(f"Ray does not start on this machine ({said})") from problem
    url = str(context.dashboard_url or "")
    return f"http://{url}" if url else ""


def _reach(address: str) -> None:
    """
    Raises:
        ConfigError: nobody listens at a host and a port; other ways to say it are left to Ray.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except (OSError, OverflowError) as problem:
        raise ConfigError(
            f"cluster.address: no Ray cluster at {address!r} ({problem}); {CURE}"
        ) from None
