"""What goes wrong where a study lies: a disk that stalls, a database that restarts."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.attack import Attack, Fault
from tests.study.postgresql import Server

__all__ = ["StallingDisk", "restart_of", "stall_of"]


class StallingDisk:
    """A disk in a file, which may be frozen: whoever writes to it waits, as on a server's folder
    that does not answer."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for the file and the mount."""
        image, self.path = folder / "disk.img", folder / "disk"
        self.path.mkdir()
        with image.open("wb") as file:
            file.truncate(64 << 20)
        _run("mkfs.ext4", "-q", str(image))
        _run("mount", "-o", "loop", str(image), str(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _run("umount", "--lazy", str(self.path))

    def stall(self, seconds: float) -> None:
        """Let nobody write for so long."""
        _run("fsfreeze", "--freeze", str(self.path))
        try:
            time.sleep(seconds)
        finally:
            _run("fsfreeze", "--unfreeze", str(self.path))


def stall_of(disk: StallingDisk) -> Fault:
    """The fault of this disk."""
    return Fault(
        "folder of the study stalls, 2 to 15 s",
        lambda attack: disk.stall(attack.draws.uniform(2, 15)),
        _nothing,
        weight=14,
    )


def restart_of(server: Server) -> Fault:
    """The fault of this server."""

    def restart(attack: Attack) -> None:
        server.stop()
        time.sleep(attack.draws.uniform(0, 5))
        server.start()

    return Fault(
        "PostgreSQL ended at once, and started again within 5 s", restart, _nothing, weight=14
    )


def _nothing(attack: Attack) -> None:
    """It mends itself."""


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
