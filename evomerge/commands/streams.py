"""Standard output and error whose readers may leave: `show DIR | head -1` is no error."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

__all__ = ["outlive_readers"]

_GONE = (errno.EPIPE, errno.EIO)
"""A pipe that nobody reads, a terminal that has been closed."""


class _Outliving(io.FileIO):
    """A file descriptor to write to; once its reader has gone, what is written goes nowhere."""

    def write(self, data: object, /) -> int:
        """How many bytes were taken."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as problem:
            if problem.errno not in _GONE:
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # also for what libraries write to it themselves
        os.close(nowhere)
        return super().write(data)  # type: ignore[arg-type]


def outlive_readers() -> None:
    """Let no command fail because its reader has left: a search goes on to its end in silence.

    Streams that a program put in the place of the process's own stay as they are.
    """
    if sys.stdout is sys.__stdout__:
        sys.stdout = _outliving(sys.stdout, by_line=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _outliving(sys.stderr, by_line=True)


def _outliving(stream: TextIO | None, *, by_line: bool) -> Any:
    """The stream in its place; None, where the process was started without, as it is."""
    if stream is None:
        return None
    stream.flush()
    raw = _Outliving(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=by_line or raw.isatty(),
    )
