"""A terminal without a person: what a program drew on it, line by line."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyte

__all__ = ["drawn", "frames_of", "glued"]

LINES = 40
MARGIN = 200
"""The emulated screen is so many columns wider than the program is told: what it does not fit to
its width is seen whole and not wrapped."""


def drawn(text: str, columns: int) -> list[str]:
    """The lines that are left on a terminal of so many columns where `text` was written."""
    screen = pyte.Screen(columns + MARGIN, LINES)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return _lines(screen)


def frames_of(command: Sequence[str], columns: int, cwd: Path) -> Iterator[list[str]]:
    """Run a program in a real terminal of so many columns: its screen after each time it drew."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    known = {key: value for key, value in os.environ.items() if key not in ("CI", "COLUMNS")}
    screen = pyte.Screen(columns + MARGIN, LINES)
    stream = pyte.ByteStream(screen)
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, cwd=cwd, env=known | {"TERM": "xterm-256color"}
    ) as program:
        os.close(its)
        try:
            while written := _read(ours):
                stream.feed(written)
                yield _lines(screen)
        finally:
            os.close(ours)
            program.terminate()
    assert program.returncode == 0, _lines(screen)


def glued(line: str) -> bool:
    """Whether a bar touches what stands beside it."""
    return any(a in "━╸╺" and (b.isalnum() or b == "#") for a, b in pairwise(line))


def _read(terminal: int) -> bytes:
    select.select([terminal], [], [], 120)
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the program has ended
        return b""


def _lines(screen: Any) -> list[str]:
    return [line.rstrip() for line in screen.display if line.strip()]
