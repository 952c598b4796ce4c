"""The laws on scores, told or observed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from evomerge.optimizers.base import Observation, Result, Scores
from evomerge.optimizers.populations.archive import Array
from evomerge.optimizers.populations.population import MemberScores

__all__ = ["Kind", "ScoreChecks"]

Kind = Literal["examples", "tasks"]


class ScoreChecks:
    """Reads scores as arrays; in a search all have the same examples and tasks."""

    def __init__(self, needs: Collection[Kind]) -> None:
        """`needs`: which scores may not be missing."""
        self._needs = needs
        self._sizes: dict[str, int] = {}

    def read(self, scored: Sequence[tuple[str, Result | Observation]]) -> list[MemberScores | None]:
        """The scores of each, None of a failure; each comes with its name in messages.

        Raises:
            ValueError: scores are missing, not finite, or of another length than before.
        """
        sizes = dict(self._sizes)
        return [_read(of, each, self._needs, sizes) for of, each in scored]

    def keep(self, member_scores: MemberScores) -> None:
        """Remember the lengths: later scores must have the same."""
        for kind, scores in (("examples", member_scores.examples), ("tasks", member_scores.tasks)):
            if len(scores):
                self._sizes[kind] = len(scores)


def _read(
    of: str, scored: Result | Observation, needs: Collection[Kind], sizes: dict[str, int]
) -> MemberScores | None:
    if not scored.fitness:
        return None

    def read(kind: Kind, scores: Scores | None) -> Array:
        if not scores:
            if kind in needs:
                raise ValueError(f"{of} came without scores of its {kind}, and they are needed")
            return np.empty(0)
        values = np.array(scores, dtype=np.float64)
        expected = sizes.setdefault(kind, len(values))
        if len(values) != expected:
            raise ValueError(f"{of} has scores of {len(values)} {kind}, before it was {expected}")
        if not np.isfinite(values).all():
            raise ValueError(f"a score of {of}'s {kind} is not finite")
        return values

    return MemberScores(
        scored.fitness[0], read("examples", scored.examples), read("tasks", scored.tasks)
    )
