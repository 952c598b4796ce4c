"""Answers read out of a model's free text: the last number, the last JSON answer, the words.

All are pure and total: text in, canonical text out, "" where there is no answer. Spellings of one
number ("24", "24.0", "+24") give the same string, so that an exact match compares values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

__all__ = ["json_number", "json_text", "number", "text"]

_NUMBER = re.compile(
    r"(?:(?<![\w)])[-\u2212])?[$\u20ac\u00a3]?"  # "12-5" ends in 5, "= -5" in -5
    r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])\.\d+)"
)
_PUBLISHED = re.compile(r"\d*\.?\d+")


def number(text: str, parity: bool = False) -> str:
    """The last number in `text`: thousands commas read, minus signs kept.

    `parity` gives what the published evaluation extracts instead (Akiba et al. 2024, "Evolutionary
    Optimization of Model Merging Recipes", its code for MGSM): "1,234" as 234, no minus signs.
    """
    found = (_PUBLISHED if parity else _NUMBER).findall(text)
    if not found:
        return ""
    return str(found[-1]) if parity else _canonical(found[-1])


def json_number(text: str) -> str:
    """The last JSON answer in `text` that is one number, or a string that spells one."""
    return _last(text, _as_number)


def json_text(text: str) -> str:
    """The last JSON answer in `text`, in words; a number as `json_number` spells it."""
    return _last(text, lambda value: _words(value) if isinstance(value, str) else _as_number(value))


def text(text: str) -> str:
    """All of `text` with single spaces."""
    return _words(text)


def _last(text: str, read: Callable[[Any], str]) -> str:
    answers = (read(found["answer"]) for found in _objects(text) if "answer" in found)
    return next((answer for answer in reversed([*answers]) if answer), "")


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in `text`, in order; nested ones are part of theirs."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield value
        start = text.find("{", end)


def _as_number(value: Any) -> str:
    match value:
        case bool():
            return ""
        case int() | float():
            return _canonical(str(value))
        case str() if _NUMBER.fullmatch(value.strip()):
            return _canonical(value.strip())
        case _:
            return ""


def _canonical(spelling: str) -> str:
    value = Decimal(re.sub("[,$\u20ac\u00a3]", "", spelling).replace("\u2212", "-"))
    if not value.is_finite():
        return ""
    fixed = format(value, "f")
    short = fixed.rstrip("0").rstrip(".") if "." in fixed else fixed
    return "0" if short in ("-0", "") else short


def _words(text: str) -> str:
    return " ".join(text.split())
