"""A source: a model that exists."""

from __future__ import annotations

from typing import Literal

from evomerge.value import Value

__all__ = ["Source"]


class Source(Value):
    """A hub repository at a revision or a local folder, either with a LoRA adapter on top.

    `statistics` is the folder of what was measured of it, which some merge methods need.
    """

    kind: Literal["source"] = "source"
    model: str
    revision: str | None = None
    adapter: str | None = None
    statistics: str | None = None
