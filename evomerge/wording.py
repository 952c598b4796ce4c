"""Numbers in sentences: `1 gene`, `2 genes`; never `1 genes`."""

from __future__ import annotations

__all__ = ["count"]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun: `1 gene`, `0 genes`, `2 entries`, `1,024 tensors`.

    Args:
        noun: one of them, such as `finished model`; its last word gets the plural's ending.
        plural: of a noun whose plural is not regular.
    """
    return f"{number:,} {noun if number == 1 else plural or _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
