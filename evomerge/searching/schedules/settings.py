"""What the schedules that spend fewer examples have in common in a job."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evomerge.config import ScheduleConfig

__all__ = ["SavingConfig"]


class SavingConfig(ScheduleConfig):
    """A candidate is scored on a few examples first, and on more as long as it is worth them."""

    least: Annotated[int, Field(ge=1)] = 12
    """Examples of a candidate's first stage, over all tasks that count."""
    batch: Annotated[int, Field(ge=1)] = 1
    """The ends of stages are rounded up to multiples of this, such as the engine's batch size, so
    that no batch is left half empty."""
    degenerate: bool = True
    """End candidates after their first stage of which nine in ten answers are empty, or repeat one
    thing until they are cut off."""

    @property
    def first_stage(self) -> str:
        """What says how long it is, as it stands in the job."""
        rounded = f", in batches of {self.batch}," if self.batch > 1 else ""
        return f"least: {self.least}{rounded}"
