"""A Ray of its own for a test: `ray start --head` with a dashboard that asks for a token."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import requests

__all__ = ["Head"]

START_S = 300.0
"""How long it may take, however busy the machine."""
ATTEMPTS = 3


class Head:
    """The processes of one head node, on ports that nobody else uses."""

    def __init__(
        self, folder: Path, *, cpus: int = 2, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start them. `folder`: a short path for Ray's files, since sockets are among them.
        `environment`: what stands in theirs beside what any head has, or instead of it."""
        self.folder, self.token = folder, secrets.token_hex(16)
        ports = _free_ports(7)
        self.address = f"http://127.0.0.1:{ports[1]}"
        self.gcs = f"127.0.0.1:{ports[0]}"
        names = ("port", "dashboard-port", "dashboard-agent-listen-port", "metrics-export-port")
        more = ("dashboard-agent-grpc-port", "ray-client-server-port", "runtime-env-agent-port")
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "HOME": str(folder / "home"),
            "HF_HUB_OFFLINE": "1",
            "RAY_DASHBOARD_STARTUP_TIMEOUT_S": str(int(START_S)),
            "RAY_raylet_start_wait_time_s": str(int(START_S)),
            "OMP_NUM_THREADS": "1",
            **(environment or {}),
        }
        (folder / "home").mkdir()
        arguments = [
            *("--node-ip-address=127.0.0.1", "--disable-usage-stats", f"--num-cpus={cpus}"),
            f"--object-store-memory={100 << 20}",
            *(f"--{name}={port}" for name, port in zip((*names, *more), ports, strict=True)),
        ]
        for attempt in range(ATTEMPTS):
            # Ray's node gives itself up where its agent takes more than 15 s to start.
            self.session = folder / f"ray{attempt}" / "session_latest"
            if self._starts(arguments, self.session.parent):
                return
        raise AssertionError((folder / "ray.log").read_text())

    def stop(self) -> None:
        """End them, and nothing else."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def _starts(self, arguments: list[str], within: Path) -> bool:
        self._output = (self.folder / "ray.log").open("wb")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *(f"--temp-dir={within}", *arguments),
            ],
            env=self.environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            if b"Ray runtime started" in (self.folder / "ray.log").read_bytes() and self._answers():
                return True
            time.sleep(0.2)
        self.stop()
        return False

    def _answers(self) -> bool:
        asking = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = requests.get(f"{self.address}/api/jobs/", headers=asking, timeout=30)
        except requests.exceptions.RequestException:
            return False
        return answer.status_code == 200


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
