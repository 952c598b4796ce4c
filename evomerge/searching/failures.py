"""When failures say that the search cannot go on: several in a row, all for one reason.

A search stops at the third in a row. Where the candidates themselves are at fault, that holds only
until one was scored: from then on failures tell the optimizer where not to look. Where a worker or
the job is at fault (a data set that has gone, say), they tell it nothing, and it always holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evomerge.errors import EvomergeError
from evomerge.evaluators.base import Failure
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study

__all__ = ["IN_A_ROW", "FailureRow", "Halt", "current_halt", "last_halt"]

IN_A_ROW = 3

HALT = "halt"
"""The study's attribute that says why a search stopped."""

_VARIABLE = re.compile(
    r"""(?<!\w)'[^']*'(?!\w) | (?<!\w)"[^"]*"(?!\w)       # names, as messages quote them
      | (?:[\w.~-]*/)[\w./-]*                             # paths and addresses on the web
      | \b0x[0-9a-f]+ | \b[0-9a-f]{8,}\b                  # addresses in memory, digests
      | \d+(?:[.,:]\d+)*(?:e[-+]?\d+)?                    # numbers, versions, host and port
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Halt:
    """Candidates in a row that failed for one reason, and the failure of the last."""

    candidates: tuple[int, ...]
    failure: Failure
    told: int
    """Number of the last tell: what failed later has nothing to do with this."""

    def error(self, study: Study) -> EvomergeError:
        """What the search ends with: of the class of whoever has to act."""
        cure = f"when that is mended, `evomerge resume {study.path}` goes on"
        if self.failure.cause == "candidate":
            cure += " (a job that has to change itself is searched anew, with another --out)"
        return self.failure.as_error(f"{self.said}; {cure}")

    @property
    def said(self) -> str:
        """Why, in one sentence without an end."""
        numbers = ", ".join(map(str, self.candidates))
        which = f"candidates {numbers}" if len(self.candidates) > 1 else f"candidate {numbers}"
        return f"{which} failed for one reason, and the search has stopped: {self.failure.message}"

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        failure = self.failure.model_dump(mode="json")
        return {"candidates": list(self.candidates), "failure": failure, "told": self.told}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Halt:
        """What `to_json` wrote."""
        failure = Failure.model_validate(data["failure"])
        return cls(tuple(data["candidates"]), failure, data["told"])

    def record(self, study: Study) -> None:
        """Keep it with the study."""
        study.put(HALT, self.to_json())


def last_halt(study: Study) -> Halt | None:
    """Why the search stopped the last time, whether it has gone on since or not."""
    kept: Any = study.get(HALT)
    return None if kept is None else Halt.from_json(kept)


def current_halt(study: Study) -> Halt | None:
    """Why the search has stopped, if it has not gone on since."""
    halt = last_halt(study)
    asked = (candidate.asked for candidate in study.candidates())
    return halt if halt is not None and max(asked) < halt.told else None


class FailureRow:
    """The failures that ended last, one after the other, for one reason."""

    def __init__(self, candidates: Iterable[Candidate] = (), *, since: int = -1) -> None:
        """
        Args:
            candidates: all on record.
            since: number of the tell after which failures count: those before it stopped the search
                once, and it was resumed.
        """
        self._since = since
        self._row: list[Candidate] = []
        self._reason: tuple[str, str | None, str] | None = None
        self.was_scored = False
        """Whether any candidate was scored, whenever."""
        ended = [(c.told, c) for c in candidates if c.told is not None]
        for _, candidate in sorted(ended, key=lambda pair: pair[0]):
            self.end(candidate)

    def end(self, candidate: Candidate) -> None:
        """Take in one that has ended, after all others."""
        self.was_scored |= candidate.state in ("done", "stopped")
        if candidate.told is None or candidate.told <= self._since:
            return
        its_reason = None if candidate.failure is None else reason(candidate.failure)
        if its_reason != self._reason:
            self._row, self._reason = [], its_reason
        if candidate.failure is not None:
            self._row.append(candidate)

    def halt(self, in_a_row: int = IN_A_ROW) -> Halt | None:
        """Why the search has to stop; None while it may go on. `in_a_row`: so many stop it."""
        if len(self._row) < in_a_row:
            return None
        last = self._row[-1]
        assert last.failure is not None
        assert last.told is not None
        is_of_the_candidates = last.failure.cause == "candidate" and not last.failure.is_of_the_job
        if is_of_the_candidates and self.was_scored:
            return None
        return Halt(tuple(candidate.number for candidate in self._row), last.failure, last.told)


def reason(failure: Failure) -> tuple[str, str | None, str]:
    """What two failures of one reason have in common: all but names, numbers, paths, digests."""
    said = _VARIABLE.sub("#", failure.message)
    return failure.cause, failure.error, " ".join(said.split())
