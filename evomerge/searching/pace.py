"""How long a search still takes, by what this sitting has seen of it."""

from __future__ import annotations

from evomerge.searching.progress import Progress

__all__ = ["Pace", "work_of"]


class Pace:
    """Hears of the progress; what came before it was there counts for nothing."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last: Progress | None = None

    def hear(self, progress: Progress) -> None:
        """Where the search stands now."""
        self._last = progress
        if self._first is None:
            self._first = (progress.seconds, work_of(progress)[0])

    def left_s(self, since_s: float = 0.0) -> float | None:
        """Until the budget is spent at this pace, or until its seconds are; None where that cannot
        be told.

        `since_s`: seconds since the progress was heard.
        """
        at = self._last
        if at is None or self._first is None:
            return None
        done, total = work_of(at)
        began_s, before = self._first
        ends = [at.limit_s - at.seconds] if at.limit_s is not None else []
        if total is not None and done > before:
            ends.append((at.seconds - began_s) / (done - before) * (total - done))
        return max(0.0, min(ends) - since_s) if ends else None


def work_of(progress: Progress) -> tuple[int, int | None]:
    """What the pace is of: (done, in all); evaluations where the budget counts them."""
    if progress.evaluations is not None:
        return progress.evaluated, progress.evaluations
    return progress.done, progress.total
