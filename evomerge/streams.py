"""Standard output and error whose readers may leave: `show DIR | head -1` is no error.

Where the disk that they are written to is full, the command goes on to its end, and says so then.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TextIO

from evomerge.errors import InfrastructureError

__all__ = ["outlive_readers"]

_GONE = (errno.EPIPE, errno.EIO)
"""A pipe that nobody reads, a terminal that has been closed."""


class _Outliving(io.FileIO):
    """A file descriptor to write to; once its reader has gone, what is written goes nowhere."""

    refused: OSError | None = None
    """Why something was not written that somebody may want."""

    def write(self, data: object, /) -> int:
        """How many bytes were taken."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as problem:
            if problem.errno not in _GONE:
                self.refused = problem
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # also for what libraries write to it themselves
        os.close(nowhere)
        return super().write(data)  # type: ignore[arg-type]


def outlive_readers() -> Callable[[], None]:
    """Let no command fail because its reader has left: a search goes on to its end in silence.

    Streams that a program put in the place of the process's own stay as they are. What is returned
    is called at the end, and raises InfrastructureError where something could not be written.
    """
    if sys.stdout is sys.__stdout__:
        sys.stdout = _outliving(sys.stdout, by_line=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _outliving(sys.stderr, by_line=True)
    return partial(_check, {"stdout": sys.stdout, "stderr": sys.stderr})


def _check(streams: Mapping[str, TextIO | None]) -> None:
    for name, stream in streams.items():
        if stream is None:
            continue
        stream.flush()
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, _Outliving) and raw.refused is not None:
            raise InfrastructureError(
                f"{name}: cannot be written ({raw.refused.strerror}); the rest of it is lost"
            )


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
