"""How many examples the candidates of a search were scored on, of those that it would have taken to
score them all on everything."""

from __future__ import annotations

from collections.abc import Iterable

from evomerge.study.candidate import Candidate

__all__ = ["Spending"]


class Spending:
    """Counts candidates as they end, and finalists, which are asked for the rest of their examples.
    What had been scored before cost nothing: a whole recipe, or a stage."""

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        self._whole = self._parts = self._in_parts = self._size = 0
        for candidate in candidates:
            self.add(candidate)

    def add(self, candidate: Candidate) -> None:
        """Count one that has ended; nothing of one that has not, or failed."""
        if candidate.attempts == 0 or candidate.state not in ("done", "stopped"):
            return
        if not candidate.stages:
            self._whole += candidate.state == "done"
            return
        scored = 0
        for stage in candidate.stages:
            self._parts += (stage.scored - scored) * (stage.attempts > 0)
            scored = stage.scored
        self._in_parts += candidate.proposed_by != "finalist"
        if candidate.state == "done" and candidate.estimated is None:
            self._size = max(self._size, scored)

    @property
    def said(self) -> str:
        """`3,508 of 9,984 examples`; "" where no schedule gave parts, or nobody had them all."""
        if not self._size:
            return ""
        scored = self._parts + self._whole * self._size
        return f"{scored:,} of {(self._in_parts + self._whole) * self._size:,} examples"
