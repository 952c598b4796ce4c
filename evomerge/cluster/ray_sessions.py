"""The folders of the Rays that were started here, and what a driver that was killed leaves of one.

Ray's own processes end with the driver that started them: the kernel sees to that. Its agents stay
for a minute (they want to tell a dead head of a dead raylet), and the folder of the session, where
its logs are, for good. Each session that is started here has a held folder in its own, and the next
Ray that starts here sweeps the sessions whose driver is no more. Nobody else's session has one.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from evomerge.held_folders import HeldFolder, left

__all__ = ["end_agents", "mark", "sweep_sessions"]

_MARK = "evomerge"
_HEADS = ("raylet", "gcs_server")
_END_MS = 5000
"""How long a process that was killed may take to be gone."""


def mark(session: Path) -> HeldFolder:
    """Say that a session is this process's; to be removed when the session has ended.

    Raises:
        OSError: as the file system does.
    """
    return HeldFolder(session, _MARK, mode=0o700)


def end_agents(session: Path) -> None:
    """End the agents of a session that this process has ended: they outlive a raylet that died
    before it, by a minute."""
    _end(session)


def sweep_sessions(sessions: Path) -> None:
    """End the agents and remove the folders of sessions whose driver is no more.

    `sessions`: Ray's temporary directory, in which each session has a folder.
    """
    for marked in sessions.glob(f"session_*/{_MARK}.*"):
        session = marked.parent
        if session.is_symlink():  # `session_latest`
            continue
        with left(marked) as is_left:
            if is_left and session.lstat().st_uid == os.geteuid() and _end(session):
                shutil.rmtree(session, ignore_errors=True)


def _end(session: Path) -> bool:
    """End what Ray has left running for a session; False where its head lives all the same."""
    agents: list[int] = []
    try:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                descriptor = os.pidfd_open(int(process.name))
            except OSError:  # it has ended meanwhile
                continue
            # From here on that process is meant, whatever has its number later.
            agents.append(descriptor)
            name = _name(process)
            is_agent, is_head = name.startswith("ray::"), name in _HEADS
            if not ((is_agent or is_head) and _is_of(process, session)):
                os.close(agents.pop())
            elif is_head:
                return False
        for agent in agents:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(agent, signal.SIGKILL)
        for agent in agents:
            ended = select.poll()
            ended.register(agent, select.POLLIN)
            ended.poll(_END_MS)
    finally:
        for agent in agents:
            os.close(agent)
    return True


def _name(process: Path) -> str:
    """The process's title, at most 15 characters of it; empty where it has ended."""
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _is_of(process: Path, session: Path) -> bool:
    """Whether a process of this user has a file of the session open."""
    try:
        if process.stat().st_uid != os.geteuid():
            return False
        return any(_target(file).is_relative_to(session) for file in (process / "fd").iterdir())
    except OSError:
        return False


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:  # it was closed meanwhile
        return Path()
