"""Text files as windows of tokens, read as a stream."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evomerge.errors import UserError
from evomerge.reading.files import open_file
from evomerge.reading.json_text import parse_json

__all__ = ["windows"]


def windows(path: Path, tokenizer: Any, *, length: int, limit: int) -> Iterator[list[int]]:
    """The first `limit` windows of at most `length` tokens, each with the tokenizer's first token.

    A `.jsonl` file has a document a line, under the key `text`, and no window has two of them; any
    other file is one document.

    Raises:
        UserError: the file is missing, or not what its name says, or has no window of two tokens.
    """
    tokens = itertools.islice(_windows(path, tokenizer, length), limit)
    first = next(tokens, None)
    if first is None:
        raise UserError(f"{path}: no text of at least two tokens")
    yield first
    yield from tokens


def _windows(path: Path, tokenizer: Any, length: int) -> Iterator[list[int]]:
    start = tokenizer.bos_token_id
    begin = [start] if start is not None and tokenizer("a").input_ids[:1] == [start] else []
    for document in _documents(path):
        held = list(begin)
        for part in document:
            held += tokenizer(part, add_special_tokens=False).input_ids
            while len(held) >= length:
                yield held[:length]
                held = begin + held[length:]
        if len(held) > max(1, len(begin)):
            yield held


def _documents(path: Path) -> Iterator[Iterator[str]]:
    """Documents as parts that can be made into tokens one by one."""
    try:
        with open_file(path, error=UserError) as content:
            file = io.TextIOWrapper(content, encoding="utf-8")
            if path.suffix != ".jsonl":
                yield iter(file)
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield iter([_text(line, f"{path}: line {number}")])
    except UnicodeDecodeError as problem:
        raise UserError(f"{path}: cannot be read ({problem})") from None


def _text(line: str, origin: str) -> str:
    row = parse_json(line.encode(), origin=origin, constants=True, error=UserError)
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise UserError(f"{origin}: needs a mapping with a string under 'text'")
    return str(row["text"])
