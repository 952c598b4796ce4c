"""What a submitted job takes along: itself, resolved, and the files of its evaluator. Never models.

    FOLDER/evomerge-job/submission.json   the job; a path that is sent starts with a mark
    FOLDER/evomerge-job/files/...         the files, as they lie to each other here

On the cluster the mark becomes the place where the files are kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evomerge.cluster.job_files import FILES
from evomerge.config import Job
from evomerge.errors import ConfigError
from evomerge.reading.files import LARGE, is_file, is_folder, read_bytes

__all__ = ["LIMIT", "MARK", "Bundle", "make_bundle", "placed"]

MARK = "evomerge-job-files:/"
"""What a path that is sent starts with, until it has a place."""
LIMIT = 200 << 20
"""Most bytes that are sent: Ray's head keeps them in memory."""

_WEIGHTS = (".safetensors", ".gguf", ".pt", ".pth", ".bin", ".ckpt")
_LEFT = ("__pycache__",)


@dataclass(frozen=True)
class Bundle:
    """A folder to be sent."""

    job: Mapping[str, Any]
    """The job as plain data, with marks."""
    digest: str | None
    """64 hexadecimal digits of the files; None where there are none."""
    sent: Sequence[str]
    """The files and folders that go along, absolute."""


def make_bundle(job: Job, into: Path) -> Bundle:
    """Copy a job's files into an empty folder.

    Raises:
        ConfigError: the files hold weights or links that lead out, or are too large.
    """
    files = sorted({Path(file) for file in job.evaluator.read_files})
    top = Path(os.path.commonpath([file.parent for file in files])) if files else Path("/")
    places = {str(file): file.relative_to(top) for file in files}
    size = sum(_copy(file, into / FILES / places[str(file)]) for file in files)
    if size > LIMIT:
        raise ConfigError(
            f"evaluator: its files ({', '.join(map(str, files))}) have {size >> 20} MiB, and at"
            f" most {LIMIT >> 20} are sent along; put large data on the hub or on a disk that all"
            " nodes share"
        )
    data = job.model_dump(mode="json")
    data["evaluator"] = _marked(data["evaluator"], places)
    return Bundle(data, _digest(into / FILES) if files else None, tuple(places))


def placed(data: Any, place: Path) -> Any:
    """Plain data of a job with its marks replaced: the files are in `place`."""

    def replaced(text: str) -> str:
        return str(place / text.removeprefix(MARK)) if text.startswith(MARK) else text

    return _changed(data, replaced)


def _marked(data: Any, places: Mapping[str, Path]) -> Any:
    """Plain data of a job with a mark and the place in the bundle for each path that is sent."""

    def replaced(text: str) -> str:
        for sent, place in places.items():
            if text == sent or text.startswith(f"{sent}/"):
                return f"{MARK}{place}{text.removeprefix(sent)}"
        return text

    return _changed(data, replaced)


def _changed(data: Any, change: Callable[[str], str]) -> Any:
    """Plain data with each text in it changed, but keys."""
    match data:
        case str():
            return change(data)
        case Mapping():
            return {key: _changed(value, change) for key, value in data.items()}
        case list():
            return [_changed(value, change) for value in data]
        case _:
            return data


def _copy(source: Path, target: Path) -> int:
    """Copy a file, or a folder with what is in it but hidden files; how many bytes."""
    size = 0
    for file in _files(source):
        if file.suffix in _WEIGHTS:
            raise ConfigError(f"{file}: looks like a model's weights, which are never sent along")
        place = target if file == source else target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        size += file.stat().st_size
        if size <= LIMIT:
            shutil.copyfile(file, place)
    return size


def _files(source: Path) -> Iterator[Path]:
    """The regular files of a folder and below, in order; a file is its own.

    Raises:
        ConfigError: a link leads out of the folder, or there is nothing.
    """
    if is_file(source):
        yield source
        return
    if not is_folder(source):
        raise ConfigError(f"{source}: is not there, or is no file")
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(n for n in folders if n not in _LEFT and not n.startswith("."))
        for path in (Path(folder, name) for name in [*folders, *sorted(names)]):
            if path.is_symlink() and not path.resolve().is_relative_to(source.resolve()):
                raise ConfigError(f"{path}: is a link out of {source}; put a copy in its place")
        shown = (name for name in sorted(names) if not name.startswith("."))
        yield from (Path(folder, name) for name in shown if is_file(Path(folder, name)))


def _digest(folder: Path) -> str:
    parts = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(read_bytes(file, most=LARGE, error=ConfigError)).hexdigest()
        parts.append(f"{file.relative_to(folder)}\0{content}\n")
    return hashlib.sha256("".join(parts).encode()).hexdigest()
