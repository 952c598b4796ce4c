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
    """A hub repository (`owner/name`) or a folder."""
    revision: str | None = None
    """The hub repository's commit, branch or tag; its default branch where it is left out."""
    adapter: str | None = None
    """A LoRA adapter on top of the model: a hub repository or a folder."""
    statistics: str | None = None
    """The folder of what was measured of this model (docs/statistics.md)."""
