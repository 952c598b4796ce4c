"""What a program writes instead of a file, as the file would have it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

__all__ = ["as_in_a_file"]


def as_in_a_file(data: Any) -> Any:
    """Plain data, as a YAML file has it: paths as text, tuples as lists."""
    match data:
        case Mapping():
            return {key: as_in_a_file(value) for key, value in data.items()}
        case list() | tuple():
            return [as_in_a_file(value) for value in data]
        case PurePath():
            return str(data)
        case _:
            return data
