"""What is kept with a study under a name, held to the form in which it was kept.

A journal's lines have checksums. A database's rows, and lines of earlier versions, have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evomerge.errors import RecordError
from evomerge.study.comparison import Comparison

__all__ = ["check_attribute"]

_KEYS = {
    "ended": ("said",),
    "halt": ("candidates", "failure", "told"),
    "sources": (),
    "winner": ("label", "recipe", "fitness"),
}
"""What a mapping under that name has."""
_COMPARISON = "comparison"


def check_attribute(study: Path, name: str, value: Any) -> None:
    """Whether what was read can be what was kept; None, and what is empty, always is.

    Raises:
        RecordError: it is something else.
    """
    if not value:
        return
    wanted = _KEYS.get(name)
    is_right = wanted is None or (isinstance(value, Mapping) and set(wanted) <= set(value))
    if name == _COMPARISON:
        try:
            Comparison.from_json(value)
        except ValidationError:
            is_right = False
    if not is_right:
        raise RecordError(
            f"{study}: what is on record as {name!r} is damaged; put the record back from a copy"
        )
