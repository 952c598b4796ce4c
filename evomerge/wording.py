"""Words in sentences: `1 gene`, `2 genes`, never `1 genes`; times; and text from outside, shown
whole, or in one line."""

from __future__ import annotations

import re

__all__ = ["clock", "count", "in_one_line", "visible"]

# C0 but tab and newline, DEL, C1, the separators of lines, and what changes the order of letters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with characters that a terminal or a page would obey written out, as `\\x1b`."""
    return _OBEYED.sub(lambda letter: letter[0].encode("unicode_escape").decode(), text)


def in_one_line(problem: BaseException) -> str:
    """What an exception of a library says; of one that says nothing, its class."""
    return " ".join(str(problem).split()) or type(problem).__name__


def count(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun: `1 gene`, `0 genes`, `2 entries`, `1,024 tensors`.

    Args:
        noun: one of them, such as `finished model`; its last word gets the plural's ending.
        plural: of a noun whose plural is not regular.
    """
    return f"{number:,} {noun if number == 1 else plural or _plural(noun)}"


def clock(seconds: float) -> str:
    """Seconds as 1:23 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
