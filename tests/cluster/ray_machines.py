"""A Ray cluster whose nodes are machines with addresses of their own."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.machines import Machine, Network

__all__ = ["CHECKOUT", "RayMachines", "titled"]

CHECKOUT = Path(__file__).parents[2]
STARTED_S = 600.0
"""How long Ray may take to start on a machine."""
_PORT = 6379


class RayMachines:
    """A head without processors, a desk for the driver, and machines with one processor each."""

    def __init__(self, network: Network, folder: Path, works: int = 2) -> None:
        """Make the machines; Ray does not run on them yet."""
        self.folder = folder
        self.environment = {
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_ADDRESS": "",
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
        }
        self.head, self.desk = network.machine("head"), network.machine("desk")
        self.works = [network.machine(f"work{number}") for number in range(works)]
        self.guest = network.machine("guest")
        # Ray takes what lies in its folder for its own machine's, its address among it.
        shared = folder / "ray"
        shared.mkdir()
        for machine in self.everywhere:
            machine.own = (folder / machine.name, shared)
            machine.own[0].mkdir()
        self._shared = shared
        self.address = f"{self.head.address}:{_PORT}"

    @property
    def running(self) -> list[Machine]:
        """Those on which Ray should run; the guest comes and goes."""
        return [self.head, self.desk, *self.works]

    @property
    def everywhere(self) -> list[Machine]:
        """All machines."""
        return [self.head, self.desk, *self.works, self.guest]

    def start(self) -> None:
        """Start Ray where it is to run, and nowhere else; what ran before is killed."""
        for machine in self.everywhere:
            machine.kill()
        self.start_on([self.head])
        self.start_on([self.desk, *self.works])

    def start_on(self, machines: Iterable[Machine]) -> None:
        """Power machines on: what ran there is killed, and Ray starts; one after the other, and
        again where the machine is too busy for Ray's patience, which ends after 30 s."""
        end = time.monotonic() + STARTED_S
        for machine in machines:
            while not self._starts_on(machine):
                assert time.monotonic() < end, (
                    f"Ray does not start: {self._log(machine).read_text()}"
                )

    def _starts_on(self, machine: Machine) -> bool:
        machine.kill()
        # These machines see each other's processes, as real ones do not: who calls Ray finds a
        # raylet of another and takes its sockets' names for its own machine's. So they have to be
        # the same on all, and what a killed raylet left would give the next one others.
        assert machine.own is not None
        for socket in machine.own[0].rglob("sockets/*"):
            socket.unlink()
        log = self._log(machine)
        log.write_bytes(b"")
        starting = machine.begin(self._command(machine), environment=self.environment, output=log)
        while "Ray runtime started." not in log.read_text():
            if starting.poll() is not None:
                return False
            time.sleep(0.1)
        return True

    def _log(self, machine: Machine) -> Path:
        return self.folder / f"{machine.name}.log"

    def _command(self, machine: Machine) -> list[str]:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block"]
        command += ["--disable-usage-stats", "--object-store-memory=80000000"]
        command += [f"--node-ip-address={machine.address}"]
        if machine is self.head:
            command += ["--head", f"--port={_PORT}", "--include-dashboard=false"]
            command += [f"--temp-dir={self._shared}"]
        else:
            command += [f"--address={self.address}"]
        has_place = machine not in (self.head, self.desk)
        return [*command, f"--num-cpus={int(has_place)}"]


def titled(machine: Machine, *beginnings: str) -> list[int]:
    """The processes on a machine whose title begins with one of these."""
    return [pid for pid, title in machine.processes().items() if title.startswith(beginnings)]
