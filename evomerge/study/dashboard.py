"""How optuna-dashboard keeps notes in a study: system attributes that no search reads.

They are written here as `optuna_dashboard.save_note` (0.21) writes them, and not by it: the
dashboard is an extra that the driver may lack, `save_note` wants Optuna's own study and trial, and
it reads all attributes again for every note. A test reads ours with the dashboard's own reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["note_attributes"]

_PIECE = 2045
"""Letters of a piece at most: what fits into a column of a database."""
_OURS = 1
"""The version of every note of ours; the dashboard counts on from it when somebody edits one."""


def note_attributes(
    there: Mapping[str, Any], trial_id: int | None, text: str
) -> Iterator[tuple[str, str | int]]:
    """The system attributes to set so that a note says `text`, in the order in which to set them.

    None where it says so already, or where somebody has edited it in the dashboard.

    Args:
        there: the study's system attributes as they are.
        trial_id: Optuna's id of the trial; None: a note on the study.
    """
    owner = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    version, piece = f"{owner}note_ver", f"{owner}note_str:"
    if there.get(version, _OURS) != _OURS:
        return
    cuts = range(0, len(text), _PIECE)
    wanted: dict[str, str | int] = {
        f"{piece}{number}": text[start : start + _PIECE] for number, start in enumerate(cuts)
    }
    emptied = dict.fromkeys((key for key in there if key.startswith(piece)), "")
    for key, value in (emptied | wanted | {version: _OURS}).items():
        if there.get(key) != value:
            yield key, value
