"""What transformers has told, kept on disk: it is asked once for each question and version.

It is asked in a process apart, so that the driver has no torch, unless this process has it already.
To import it takes seconds, to read a file milliseconds. A file is named by the question and by
transformers' version, and one that is damaged is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.plugins import load
from evomerge.publish import whole_file
from evomerge.reading.files import is_there
from evomerge.reading.json_text import parse_json, read_object
from evomerge.subprocess_call import call_in_subprocess

__all__ = ["FOLDER", "asked", "learned"]

FOLDER = "EVOMERGE_ARCHITECTURES"
"""Environment variable: the folder; empty for none. `evomerge/architectures` in the user's cache
folder where it is not set."""
_SHAPE = 1
"""Counts up where the answers of a newer version of this package have another shape."""


def learned(target: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """What the function `package.module:function` answers, both plain data.

    Raises:
        UserError: what the function raised; it is not kept.
        InfrastructureError: the process ended without an answer.
    """
    return _remembered(target, json.dumps(request, sort_keys=True), _folder())


@lru_cache(maxsize=64)
def _remembered(target: str, request: str, folder: Path | None) -> dict[str, Any]:
    return asked(target, request, folder)


def asked(target: str, request: str, folder: Path | None) -> dict[str, Any]:
    """The answer from the folder, or given anew and then kept there; raises as `learned`.

    Args:
        request: JSON with sorted keys; a configuration may hold infinity.
        folder: None: nothing is kept.
    """
    text = f"{_SHAPE}\n{_transformers()}\n{target}\n{request}"
    if folder is None:
        return _asked(target, request)
    file = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if is_there(file):
        with suppress(SourceError):  # damaged: it is asked again
            return read_object(file, constants=True)
    answer = _asked(target, request)
    _keep(file, answer)
    return answer


def _asked(target: str, request: str) -> dict[str, Any]:
    plain = parse_json(request.encode(), origin=target, constants=True)
    if "transformers" in sys.modules:
        told = json.dumps(load(target)(plain))
        answer: dict[str, Any] = parse_json(told.encode(), origin=target, constants=True)
    else:
        answer = call_in_subprocess(target, plain)
    return answer


def _keep(file: Path, answer: Mapping[str, Any]) -> None:
    """Where the folder can be written; an answer that is not kept is asked again."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial:
            partial.write_text(json.dumps(answer), encoding="utf-8")


def _folder() -> Path | None:
    given = os.environ.get(FOLDER)
    if given is not None:
        return Path(given) if given else None
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "evomerge" / "architectures"


@cache
def _transformers() -> str:
    try:
        return version("transformers")
    except PackageNotFoundError:
        return ""
