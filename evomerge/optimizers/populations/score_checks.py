"""The laws on scores that come with answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from evomerge.optimizers.base import Result, Scores
from evomerge.optimizers.populations.archive import Array
from evomerge.optimizers.populations.population import MemberScores

__all__ = ["Kind", "ScoreChecks"]

Kind = Literal["examples", "tasks"]


class ScoreChecks:
    """Reads answers into sheets; all sheets of a search have the same examples and tasks."""

    def __init__(self, needs: Collection[Kind]) -> None:
        """`needs`: which scores may not be missing."""
        self._needs = needs
        self._sizes: dict[str, int] = {}

    def read(self, results: Sequence[tuple[str, Result]]) -> list[MemberScores | None]:
        """The sheet of each answer, None of a failure; each comes with what messages call it.

        Raises:
            ValueError: scores are missing, not finite, or of another length than before.
        """
        sizes = dict(self._sizes)
        return [_sheet(of, result, self._needs, sizes) for of, result in results]

    def keep(self, member_scores: MemberScores) -> None:
        """What comes later is to be like this one, which was told."""
        for kind, scores in (("examples", member_scores.examples), ("tasks", member_scores.tasks)):
            if len(scores):
                self._sizes[kind] = len(scores)


def _sheet(
    of: str, result: Result, needs: Collection[Kind], sizes: dict[str, int]
) -> MemberScores | None:
    if not result.fitness:
        return None

    def read(kind: Kind, scores: Scores | None) -> Array:
        if not scores:
            if kind in needs:
                raise ValueError(f"{of} came without scores of its {kind}, and they are needed")
            return np.empty(0)
        found = np.array(scores, dtype=np.float64)
        expected = sizes.setdefault(kind, len(found))
        if len(found) != expected:
            raise ValueError(f"{of} has scores of {len(found)} {kind}, before it was {expected}")
        if not np.isfinite(found).all():
            raise ValueError(f"a score of {of}'s {kind} is not finite")
        return found

    return MemberScores(
        result.fitness[0], read("examples", result.examples), read("tasks", result.tasks)
    )
