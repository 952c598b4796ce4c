"""Names of tasks over narrow columns: without what they begin with in common, cut where need be."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["cut", "short_names", "widths"]


def short_names(names: Sequence[str]) -> list[str]:
    """The names without the words that all of them begin with, where more than one is given.

    `evomerge_json, evomerge_math` are `json, math`.
    """
    if len(names) < 2:
        return list(names)
    # Whole words only, and something has to be left of each name.
    ends = [match.end() for match in re.finditer(r"[^0-9A-Za-z]+", names[0])]
    common = [
        end
        for end in ends
        if all(len(name) > end and name[:end] == names[0][:end] for name in names)
    ]
    return [name[max(common, default=0) :] for name in names]


def cut(text: str, width: int, mark: str = "…") -> str:
    """The text in at most `width` characters, the last of which says that some are missing."""
    return text if len(text) <= width else f"{text[: width - 1]}{mark}"


def widths(natural: Sequence[int], room: int, *, least: int, gap: int = 2) -> list[int] | None:
    """Widths of columns that fit together, each with a gap after it; the widest give way first.

    Args:
        natural: how wide each would like to be.
        room: characters for all of them.
        least: no column gets narrower, unless it is by itself.

    Returns:
        None where even the least does not fit.
    """
    got = list(natural)
    while sum(got) + gap * len(got) > room:
        widest = max(range(len(got)), key=lambda i: got[i], default=None)
        if widest is None or got[widest] <= least:
            return None
        got[widest] -= 1
    return got
