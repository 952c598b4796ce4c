"""How the winner is chosen among the finalists."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evomerge.value import Value

__all__ = ["Select"]


class Select(Value):
    """How the winner is chosen: finalists are scored on the validation split."""

    finalists: Annotated[int, Field(ge=1)] = 3
    """Best candidates of the search that go to the validation split."""
    recommendation: bool = True
    """The optimizer's own recommendation (CMA-ES: the distribution's mean) is a finalist too."""
    tune_baselines: bool = True
    """Task arithmetic is also compared with its strength tuned on the validation split, over all
    parents and over those that carry weight in the winner: at most 12 evaluations there."""
    detect: Annotated[float, Field(gt=0)] | None = Field(
        default=None, exclude_if=lambda gain: gain is None
    )
    """The smallest gain in fitness that is worth finding: `check` warns where validation or holdout
    have too few examples to show it."""
