"""Consent to run code that a job names, and what keeps other code out of our processes.

Consent belongs to whoever starts a command, never to a file that comes with a job: it is given by
`--trust-job`, by the variable EVOMERGE_TRUST_JOB, or by `trust: true` in the user's own
configuration. It holds for one process and those that it starts, and stands in no study.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from evomerge.errors import ConfigError
from evomerge.value import Value, parse

__all__ = [
    "VARIABLE",
    "UserConfig",
    "has_consent",
    "keep_out_working_directory",
    "process_environment",
    "require_trust",
    "trust_job",
    "user_file",
    "without_working_directory",
]

VARIABLE = "EVOMERGE_TRUST_JOB"
"""Set to 1, it gives consent for this process and the workers that it starts; set to anything else,
it takes back what the user's configuration says."""

_SAFE_PATH = "PYTHONSAFEPATH"
"""Python's own: set, neither `python -m` nor `python -c` puts the working directory on its path."""


class UserConfig(Value):
    """What a user says once for all jobs."""

    trust: bool = False
    """Run code that jobs and evaluators name, without being asked."""


def trust_job() -> None:
    """Give consent: code that jobs name from now on may run."""
    os.environ[VARIABLE] = "1"


def has_consent() -> bool:
    """Whether code that a job names may run in this process.

    Raises:
        ConfigError: the user's configuration cannot be read, or others may write to it.
    """
    said = os.environ.get(VARIABLE)
    return said == "1" if said else _configured().trust


def require_trust(code: Sequence[str]) -> None:
    """Nothing happens if there is no code, or consent to run it.

    `code`: what would run, as a person finds it (`module:function`).

    Raises:
        ConfigError: there is code, and no consent.
    """
    if code and not has_consent():
        raise ConfigError(
            f"this would run code that the job names ({', '.join(code)}), with your rights; if you"
            f" trust it, say so with --trust-job (or {VARIABLE}=1)"
        )


def user_file() -> Path:
    """`evomerge/config.yaml` in the folder of the user's configurations (XDG_CONFIG_HOME)."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():  # what is relative would be somebody's working directory
        folder = Path.home() / ".config"
    return folder / "evomerge" / "config.yaml"


def _configured() -> UserConfig:
    path = user_file()
    try:
        about = path.stat()
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return UserConfig()
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        raise ConfigError(f"{path}: cannot be read ({problem})") from None
    if about.st_uid not in (0, os.geteuid()) or about.st_mode & 0o022:
        raise ConfigError(f"{path}: others may write to it, so it cannot speak for you; chmod 600")
    try:
        return parse(UserConfig, yaml.safe_load(text) or {}, origin=str(path))
    except yaml.YAMLError:
        raise ConfigError(f"{path}: this is no YAML; it may say `trust: true`") from None


def process_environment() -> dict[str, str]:
    """What a process of ours is started with: this process's consent, and a path without the
    working directory, where `numpy.py` may be anybody's."""
    return {_SAFE_PATH: "1", VARIABLE: "1" if has_consent() else "0"}


def keep_out_working_directory() -> None:
    """From now on no Python that this process starts has its working directory on the path."""
    os.environ[_SAFE_PATH] = "1"


@contextmanager
def without_working_directory() -> Iterator[None]:
    """The same for a while, in a process that belongs to somebody else."""
    before = os.environ.get(_SAFE_PATH)
    keep_out_working_directory()
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before
