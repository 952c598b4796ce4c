"""Text files as documents, and documents as windows: the examples that are scored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evomerge.errors import ConfigError
from evomerge.reading.files import LARGE, read_bytes
from evomerge.reading.json_text import parse_json

__all__ = ["Document", "Unit", "Window", "cut", "read_documents", "sources_of"]

Unit = Literal["file", "paragraphs", "lines"]


@dataclass(frozen=True)
class Window:
    """Characters [start, end) of a document: one example."""

    start: int
    end: int


@dataclass(frozen=True)
class Document:
    """A text that is read from its beginning: no window of it sees another document."""

    where: str
    """File and line, for messages."""
    text: str

    def windows(self, most_bytes: int) -> list[Window]:
        """The windows that the text is cut into; a blank text has none."""
        return cut(self.text, most_bytes) if self.text.strip() else []


def cut(text: str, most_bytes: int) -> list[Window]:
    """Windows of at most `most_bytes` bytes of UTF-8 (4 or more) that cover the text in order.

    They end before white space where there is some, and before another character elsewhere.
    """
    windows = []
    start = 0
    while start < len(text):
        some = text[start : start + most_bytes]
        end = start + len(some.encode()[:most_bytes].decode(errors="ignore"))
        if end < len(text):
            end = _before_space(text, start, end)
        windows.append(Window(start, end))
        start = end
    return windows


def read_documents(paths: Sequence[Path], *, unit: Unit, field: str) -> list[Document]:
    """The documents of several files, in order: a JSON Lines file has one a row.

    Raises:
        ConfigError: a file is missing or is not UTF-8, or a row has no text under `field`.
    """
    documents: list[Document] = []
    for path in paths:
        text = _text(path)
        documents += (
            _rows(path, text, field) if path.suffix == ".jsonl" else _parts(path, text, unit)
        )
    return documents


def sources_of(documents: Sequence[Document]) -> list[str] | None:
    """A name for the document of each window, equal where that is: windows of one are alike.

    `documents`: of each window its document. None where no two windows share one, or all do, so
    that nothing is known of how documents differ.
    """
    known = list(dict.fromkeys(documents))
    if len(known) in (1, len(documents)):
        return None
    names: dict[Document, str] = {}
    taken = Counter[str]()
    for document in known:  # files in several folders may have one name
        taken[document.where] += 1
        again = taken[document.where]
        names[document] = document.where if again == 1 else f"{document.where} ({again})"
    return [names[document] for document in documents]


def _before_space(text: str, start: int, end: int) -> int:
    """Where the last run of white space in text[start:end + 1] begins; `end` without one."""
    for at in range(end, start, -1):
        if text[at].isspace():
            while at - 1 > start and text[at - 1].isspace():
                at -= 1
            return at
    return end


def _text(path: Path) -> str:
    """The text with its ends of lines, and the mark of its encoding, as they are: they count."""
    try:
        return read_bytes(path, most=LARGE, error=ConfigError).decode()
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({problem})") from None


def _rows(path: Path, text: str, field: str) -> Iterator[Document]:
    for line, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        where = f"{path}:{line}"
        data = parse_json(row.encode(), origin=where, constants=True, error=ConfigError)
        if not isinstance(data, dict) or not isinstance(data.get(field), str):
            raise ConfigError(
                f"{path}:{line}: has no text under {field!r}; name its key as 'field'"
            )
        yield Document(f"{path.name}:{line}", data[field])


def _parts(path: Path, text: str, unit: Unit) -> Iterator[Document]:
    if unit == "file":
        yield Document(path.name, text)
        return
    end = r"\n" if unit == "lines" else r"\n[^\S\n]*\n\s*"
    line = 1
    for part in re.split(f"({end})", text):
        if part.strip():
            yield Document(f"{path.name}:{line}", part)
        line += part.count("\n")
