"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

__all__ = ["Server", "program"]


class Server:
    """A server with a password, on a port of its own."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        """`folder`: one that other users may enter; `host`: an address of this machine."""
        self._data, self._root, self._host = folder / "data", os.geteuid() == 0, host
        if self._root:
            shutil.chown(folder, "postgres")  # the server refuses to run as root
        with socket.socket() as free:
            free.bind((host, 0))
            self._port = free.getsockname()[1]
        words = folder / "password"
        words.write_text("p@ss/SECRET\n")
        words.chmod(0o644)
        self._run(
            "initdb", "-D", self._data, "-U", "me", "-A", "scram-sha-256", f"--pwfile={words}", "-N"
        )
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {host}/24 scram-sha-256\n")
        self.url = f"postgresql://me:p%40ss%2FSECRET@{host}:{self._port}/postgres"

    def _run(self, name: str, *arguments: object) -> None:
        command = [program(name) or name, *map(str, arguments)]
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user="postgres" if self._root else None,
            group=pwd.getpwnam("postgres").pw_gid if self._root else None,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -c listen_addresses={self._host} -c unix_socket_directories=''"
        self._run("pg_ctl", "-D", self._data, "-o", options, "-w", "-l", os.devnull, "start")

    def stop(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is; None where it is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or next(map(str, installed), None)
