"""The Pareto front of a search with several objectives, and how much of their space it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evomerge.study.candidate import Candidate, front
from evomerge.wording import count

__all__ = ["Front", "front_of"]

MOST = 4
"""Of more objectives no hypervolume is told: its time grows with their number as a power."""


@dataclass(frozen=True)
class Front:
    """The candidates that keep the constraints and that no other one beats in everything."""

    members: tuple[Candidate, ...]
    """By number."""
    allowed: int
    """How many candidates were scored and keep the constraints."""
    hypervolume: float | None
    """Of what is worse than a member in everything and better than the worst of each objective
    among those candidates; None of many objectives."""
    at_first: float | None
    """The same by the warm starts alone, from the same corner."""

    def said(self, shown: int = 20) -> str:
        """The front in a sentence, with the numbers of its first members."""
        numbers = ", ".join(str(member.number) for member in self.members[:shown])
        more = len(self.members) - shown
        line = f"Pareto front: {count(len(self.members), 'candidate')} of {self.allowed}: {numbers}"
        line += f" and {more} more" if more > 0 else ""
        if self.hypervolume is None:
            return line
        line += f"; hypervolume {self.hypervolume:.4g} above the worst of each objective"
        return line if self.at_first is None else f"{line}, {self.at_first:.4g} by the warm starts"


def front_of(candidates: Sequence[Candidate]) -> Front | None:
    """The front of a study's candidates; None of one objective, and where none is allowed."""
    allowed = [c for c in candidates if c.fitness is not None and c.missed == 0]
    if not allowed or len(allowed[0].fitness or ()) < 2:
        return None
    members = front(allowed)
    worst = np.array([candidate.fitness for candidate in allowed], dtype=float).min(axis=0)
    marks = [candidate for candidate in allowed if candidate.proposed_by == "landmark"]
    return Front(
        members=tuple(members),
        allowed=len(allowed),
        hypervolume=_hypervolume(members, worst),
        at_first=_hypervolume(marks, worst) if marks else None,
    )


def _hypervolume(members: Sequence[Candidate], worst: NDArray[np.float64]) -> float | None:
    if len(worst) > MOST:
        return None
    from optuna._hypervolume import compute_hypervolume

    losses = -np.array([member.fitness for member in members], dtype=float)
    return float(compute_hypervolume(losses, -worst))
