"""Text set as Markdown, such that what a user named cannot change it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evomerge.wording import visible

__all__ = ["code", "escaped", "fenced", "table"]

_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def escaped(text: str) -> str:
    """The text in one line, its marks of Markdown and HTML made letters."""
    return _MARKS.sub(r"\\\1", visible(" ".join(text.split())))


def code(text: str) -> str:
    """The text in one line, as code."""
    text = visible(" ".join(text.split()))
    marks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def fenced(text: str, language: str) -> str:
    """A block of code, behind a fence that is longer than any in it."""
    marks = "`" * max(3, _longest_run(text) + 1)
    return f"{marks}{language}\n{visible(text.rstrip())}\n{marks}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its header."""
    header, *body = ([escaped(cell) for cell in row] for row in rows)
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _longest_run(text: str) -> int:
    """Of backticks."""
    return max(map(len, re.findall(r"`+", text)), default=0)
