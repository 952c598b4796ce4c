"""Machines on this machine: network namespaces with addresses of their own, joined by a bridge.

They share processors, memory and disk, and nothing else: what is killed in one lives in the others,
and a cable may be cut. Only root may make them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Machine", "Network", "can_make_machines"]


def can_make_machines() -> bool:
    """Whether this process may make network namespaces."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


class Network:
    """A bridge; this process has the last address of it, `host`."""

    def __init__(self) -> None:
        token = secrets.token_hex(2)
        self.name = f"evm{token}"
        self._subnet = f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(250)}"
        self.host = f"{self._subnet}.254"
        self._machines: list[Machine] = []
        _ip("link", "add", self.name, "type", "bridge")
        _ip("addr", "add", f"{self.host}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for machine in self._machines:
            machine.remove()
        _ip("link", "del", self.name)

    def machine(self, role: str) -> Machine:
        """A new machine on the bridge."""
        number = len(self._machines) + 1
        made = Machine(f"{self.name}-{role}", f"{self.name}{number}", f"{self._subnet}.{number}")
        self._machines.append(made)
        made.plug_into(self.name, self.host)
        return made


class Machine:
    """A network namespace, and the processes in it."""

    def __init__(self, name: str, cable: str, address: str) -> None:
        self.name, self._cable, self.address = name, cable, address
        self.own: tuple[Path, Path] | None = None
        """A folder of this machine's own, and the path under which its programs find it."""
        self._begun: list[subprocess.Popen[Any]] = []
        _ip("netns", "add", name)
        self.number = Path(f"/run/netns/{name}").stat().st_ino
        """As its processes find it in `/proc/self/ns/net`."""

    def plug_into(self, bridge: str, way_out: str) -> None:
        """Join it to a bridge; Ray takes for its own the address by which it would get out."""
        inside = "eth0"
        _ip("link", "add", self._cable, "type", "veth", "peer", inside, "netns", self.name)
        _ip("link", "set", self._cable, "master", bridge, "up")
        for command in (
            ("addr", "add", f"{self.address}/24", "dev", inside),
            ("link", "set", inside, "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", way_out),
        ):
            _ip("-n", self.name, *command)

    def begin(
        self, command: Sequence[str], *, environment: Mapping[str, str], output: Path
    ) -> subprocess.Popen[bytes]:
        """Begin a program on it; both its outputs are added to a file."""
        with output.open("ab") as file:
            process = subprocess.Popen(
                self.command(command),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._begun.append(process)
        return process

    def command(self, command: Sequence[str]) -> list[str]:
        """The same command, as it is run on this machine."""
        here = ["ip", "netns", "exec", self.name]
        if self.own is None:
            return [*here, *command]
        mounting = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return [*here, "sh", "-c", mounting, "sh", *map(str, self.own), *command]

    def processes(self) -> dict[int, str]:
        """Number -> title (15 characters of it) of each process that runs on it."""
        said = subprocess.run(
            ["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True
        )
        found = {}
        for pid in map(int, said.stdout.split()):
            with suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
        return found

    def kill(self) -> None:
        """Power off: every process on it is killed at once."""
        while there := self.processes():
            for pid in there:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
            self.reap()

    def reap(self) -> None:
        """Take note of which of its programs have ended."""
        self._begun = [process for process in self._begun if process.poll() is None]

    def cut(self) -> None:
        """Pull its cable; connections are not closed, packets are lost."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Plug the cable in again."""
        _ip("link", "set", self._cable, "up")

    def remove(self) -> None:
        """Power off, and away with it."""
        self.kill()
        for process in self._begun:
            process.wait()
        _ip("netns", "del", self.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
