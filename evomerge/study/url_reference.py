"""A URL that stands in a variable of the environment: `env:NAME` in a job's file."""

from __future__ import annotations

import os

from evomerge.errors import UserError

__all__ = ["is_reference", "looked_up"]

_REFERENCE = "env:"


def is_reference(written: str) -> bool:
    """Whether a variable is named, and no URL."""
    return written.startswith(_REFERENCE)


def looked_up(written: str, key: str) -> str:
    """The URL that is written, or that the named variable holds.

    `key`: the job's key, for messages.

    Raises:
        UserError: there is no such variable, or it is empty.
    """
    if not is_reference(written):
        return written
    variable = written.removeprefix(_REFERENCE)
    if not os.environ.get(variable):
        raise UserError(f"{key}: the environment has no variable {variable!r} with the URL")
    return os.environ[variable]
