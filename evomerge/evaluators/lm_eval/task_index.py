"""The names of lm-eval's tasks, groups and tags, found without parsing 14,000 files.

A **group** lists tasks (or groups, or tags) and says how their scores make one. A **tag** is a word
that tasks carry; it stands for all of them and makes no score (lm-eval 0.4, `tasks/_index.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evomerge.errors import ConfigError
from evomerge.reading.files import is_folder, read_bytes, resolved

__all__ = ["TaskIndex", "index_of", "packaged"]


MOST_ENTRIES = 200_000
"""Files and folders below a folder of tasks, at most; lm-eval's own catalog has 14,000."""
DEEPEST_INCLUDE = 10
"""How many files may include one another."""


def _top_level(key: str, value: str) -> re.Pattern[str]:
    """Finds `key: value` at the beginning of a line, either in quotes."""
    return re.compile(rf"""^["']?{key}["']?:[ \t]*{value}[ \t]*(?:#.*)?$""", re.MULTILINE)


_NAME = r"""["']?([^\s"'#\[{]+)["']?"""
_TASK, _GROUP, _INCLUDE = (_top_level(key, _NAME) for key in ("task", "group", "include"))
_TAG = _top_level("tag", r"([^#\n]*?)")
_ITEM = re.compile(r"""\n[ \t]*-[ \t]+["']?([^\s"'#]+)["']?[ \t]*(?:#.*)?(?=\n|$)""")


@dataclass(frozen=True)
class TaskIndex:
    """What a folder of task files has, by name."""

    root: Path
    """The folder, which nothing that its files include may leave."""
    tasks: Mapping[str, Path]
    """Task -> its file."""
    groups: Mapping[str, Path]
    """Group -> its file."""
    tags: Mapping[str, tuple[str, ...]]
    """Tag -> the tasks that carry it, by name."""

    @property
    def names(self) -> list[str]:
        """All that a configuration may name."""
        return [*self.tasks, *self.groups, *self.tags]

    def __contains__(self, name: str) -> bool:
        return name in self.tasks or name in self.groups or name in self.tags


def index_of(folder: Path | None) -> TaskIndex:
    """The index of `folder` and below, or (None) of lm-eval's own catalog.

    Raises:
        ConfigError: no such folder, or lm-eval is not installed.
    """
    if folder is None:
        return _catalog()
    if not is_folder(folder):
        raise ConfigError(f"include_path: {folder} is not a folder")
    return _index(folder)


def packaged(path: Path) -> bool:
    """Whether a task file is one that lm-eval ships."""
    tasks = _shipped()
    return tasks is not None and resolved(path).is_relative_to(tasks)


@cache
def _catalog() -> TaskIndex:
    tasks = _shipped()
    if tasks is None:
        raise ConfigError("include_path: null needs the package lm-eval")
    return _index(tasks)


@cache
def _shipped() -> Path | None:
    spec = find_spec("lm_eval")  # finds the package without running it
    if spec is None or spec.origin is None:
        return None
    return (Path(spec.origin).parent / "tasks").resolve()


def _index(root: Path) -> TaskIndex:
    tasks: dict[str, Path] = {}
    groups: dict[str, Path] = {}
    tags: dict[str, list[str]] = {}
    read = cache(_read)
    for path in sorted(_files(root)):
        text = read(path)
        if group := _GROUP.search(text):
            groups.setdefault(group.group(1), path)
            continue
        for name in _TASK.findall(text):
            if tasks.setdefault(name, path) == path:
                for tag in _tags(path, root, read):
                    tags.setdefault(tag, []).append(name)
    return TaskIndex(
        root, tasks, groups, {tag: tuple(sorted(names)) for tag, names in tags.items()}
    )


def _files(root: Path) -> Iterator[Path]:
    """The task files in a folder and below.

    Raises:
        ConfigError: there is more in it than a folder of tasks has: `/`, say.
    """
    entries = 0
    for folder, folders, files in os.walk(root):
        entries += len(folders) + len(files)
        if entries > MOST_ENTRIES:
            raise ConfigError(
                f"include_path: {root} holds more than {MOST_ENTRIES:,} files and folders; name"
                " the one with the task files alone"
            )
        yield from (Path(folder, name) for name in files if name.endswith(".yaml"))


def _read(path: Path) -> str:
    try:
        return read_bytes(path, error=ConfigError).decode(errors="replace")
    except ConfigError:
        return ""


def _tags(path: Path, root: Path, read: Callable[[Path], str], depth: int = 0) -> Iterator[str]:
    """The tags of a file, or of what it includes. That is checked when a task is read; here what
    leads out of the folder, or has no end, has no tags."""
    if depth > DEEPEST_INCLUDE or not resolved(path).is_relative_to(resolved(root)):
        return
    text = read(path)
    if tag := _TAG.search(text):
        written = tag.group(1).strip("[]")
        if written:
            yield from (part.strip(" \"'") for part in written.split(","))
        else:
            at = tag.end()
            while item := _ITEM.match(text, at):
                yield item.group(1)
                at = item.end()
        return
    for included in _INCLUDE.findall(text):
        if (inside := path.parent / included) != path:
            yield from _tags(inside, root, read, depth + 1)
