"""JSON that anybody may have written, read strictly and within limits.

Python's reader takes what JSON has not (NaN), the last of two keys, numbers beyond all bounds and
any depth. Here each is refused in one sentence: what is read is what every other reader sees.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from evomerge.errors import EvomergeError, SourceError
from evomerge.reading.files import USUAL, read_bytes

__all__ = ["parse_json", "read_json", "read_object"]

DEPTH = 100
"""Most lists and mappings that stand in one another."""
DIGITS = 400
"""Most digits of a whole number: as many as the largest float has, and some."""
VALUES = 1_000_000
"""Most values of a usual file."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class _Law(ValueError):
    """A law of ours that the text breaks."""


def read_object(
    path: Path,
    *,
    most: int = USUAL,
    values: int = VALUES,
    constants: bool = False,
    follow: bool = True,
    error: type[EvomergeError] = SourceError,
) -> dict[str, Any]:
    """The mapping that a JSON file holds; raises as `read_json`, and where it is none."""
    data = read_json(
        path, most=most, values=values, constants=constants, follow=follow, error=error
    )
    if not isinstance(data, dict):
        raise error(f"{path}: expected a mapping of keys, got {_kind(data)}")
    return data


def read_json(
    path: Path,
    *,
    most: int = USUAL,
    values: int = VALUES,
    constants: bool = False,
    follow: bool = True,
    error: type[EvomergeError] = SourceError,
) -> Any:
    """What a JSON file holds.

    Args:
        most: bytes at most.
        values: values at most.
        constants: whether `Infinity` and `NaN` are taken, which transformers writes.
        follow: whether it may be a link.

    Raises:
        EvomergeError: of the class `error`: it cannot be read, is no JSON, or breaks a limit.
    """
    content = read_bytes(path, most=most, follow=follow, error=error)
    return parse_json(content, origin=str(path), values=values, constants=constants, error=error)


def parse_json(
    content: bytes,
    *,
    origin: str,
    values: int = VALUES,
    constants: bool = False,
    error: type[EvomergeError] = SourceError,
) -> Any:
    """The same of text in UTF-8; `origin` is what messages call it; empty: nothing."""
    lead = f"{origin}: " if origin else ""
    try:
        if sum(map(content.count, (b",", b"[", b"{"))) > values:
            raise _Law(f"has more than {values:,} values")
        data = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_int=_whole,
            parse_float=float if constants else _finite,
            parse_constant=float if constants else _constant,
        )
        _check_depth(data)
        if _SURROGATE.search(content):
            _check_text(data)
    except UnicodeDecodeError as problem:
        raise error(f"{lead}is no text in UTF-8 (at byte {problem.start})") from None
    except json.JSONDecodeError as problem:
        place = f"line {problem.lineno}, column {problem.colno}"
        raise error(f"{lead}not valid JSON ({problem.msg}, {place})") from None
    except _Law as problem:
        raise error(f"{lead}{problem}") from None
    except RecursionError:
        raise error(f"{lead}its lists and mappings are nested too deeply") from None
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise _Law(f"the key {_shown(twice)} stands twice in one mapping; keep one")
    return made


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise _Law(f"a number of {len(text):,} digits is no number to reckon with")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Law(f"{_shown(text)} is beyond all numbers that a computer has")
    return value


def _constant(text: str) -> float:
    raise _Law(f"{text} is no number to reckon with, and no JSON")


def _check_depth(data: Any) -> None:
    level = [data]
    for _ in range(DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _Law(f"its lists and mappings are nested more than {DEPTH} deep")


def _check_text(data: Any) -> None:
    """Half of a character (a lone surrogate) is no text: it could not be written again."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Law("holds half of a character (\\ud800 to \\udfff), which is no text") from None


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."


def _kind(data: Any) -> str:
    return "a list" if isinstance(data, list) else "a single value"
