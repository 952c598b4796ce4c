"""In which parts a candidate is evaluated: what every schedule's settings derive from."""

from __future__ import annotations

from typing import Literal

from evomerge.plugins import Factory, Registry
from evomerge.value import Value

__all__ = ["SCHEDULES", "ScheduleConfig", "WholeConfig"]


class ScheduleConfig(Value):
    """Settings of a schedule; each kind has a class of its own, derived from this."""

    kind: str
    """The schedule's name in the registry."""


class WholeConfig(ScheduleConfig):
    """Every candidate is evaluated on the whole search split, at once."""

    kind: Literal["whole"] = "whole"


SCHEDULES: Registry[Factory] = Registry(
    role="schedule",
    group="evomerge.schedules",
    built_in={
        "estimated": "evomerge.searching.schedules.estimated:Estimated",
        "halving": "evomerge.searching.schedules.halving:Halving",
        "hyperband": "evomerge.searching.schedules.halving:Hyperband",
        "racing": "evomerge.searching.schedules.racing:Racing",
        "whole": "evomerge.searching.schedule:Whole",
    },
    default="whole",
)
"""Schedules by kind. An entry is called with its settings, `sizes` (task -> examples of the search
split, as far as they are known) and the job's `seed`; one whose `needs_objective` is true with the
job's `objective`, too."""
