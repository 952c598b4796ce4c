"""What is counted step by step is what a count of the whole record says, after every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.evaluators.base import Failure
from evomerge.optimizers.base import Fitness
from evomerge.searching.failures import FailureRow
from evomerge.searching.tally import SPARED, Tally
from evomerge.study.candidate import Candidate
from tests.searching.recount import halted, recounted, tallied

STALE_AFTER = 3
LOST = Failure(cause="infrastructure", message="the worker died")
FAILURES = (
    LOST,
    Failure(cause="infrastructure", message="out of memory"),
    Failure(cause="candidate", message="not finite"),
)
Outcome = Fitness | Failure | Literal["stopped"]
Step = Literal["ask", "landmark", "resume"] | tuple[int, Outcome, int]
"""A question, a warm start, a resume that tries warm starts again; or which of those under way
ends, as what, after how many attempts."""


class Record:
    """What is on record of a search, step by step."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []
        self._tried_again: set[int] = set()
        self._marks: list[str] = []
        """Labels of the warm starts to be tried again."""
        self.numbers = 0

    def ask(self, by: Literal["optimizer", "landmark"] = "optimizer") -> Candidate:
        number = len(self.candidates)
        again = self._marks.pop() if self._marks and by == "landmark" else f"mark {number}"
        asked = Candidate(
            number=number,
            proposed_by=by,
            label=again if by == "landmark" else None,
            proposal=number if by == "optimizer" else None,
            genome=(),
            values={},
            recipe={},
            digest="",
            asked=self._next(),
            asked_s=0.0,
        )
        self.candidates.append(asked)
        return asked

    def end(self, which: int, outcome: Outcome, attempts: int) -> Candidate | None:
        """One of those under way, the oldest first; None where nothing is."""
        under_way = [candidate for candidate in self.candidates if candidate.told is None]
        if not under_way:
            return None
        known: dict[str, Any] = {"told": self._next(), "attempts": attempts}
        match outcome:
            case Failure():
                known |= {"state": "failed", "failure": outcome}
            case "stopped":
                known |= {"state": "stopped"}
            case _:
                known |= {"state": "done", "fitness": outcome}
        ended = replace(under_way[which % len(under_way)], **known)
        self.candidates[ended.number] = ended
        return ended

    def resume(self) -> None:
        """Try again the warm starts that have failed."""
        failed = [c for c in self.counting if c.proposed_by == "landmark" and c.failure]
        self._tried_again |= {candidate.number for candidate in failed}
        self._marks = [candidate.label or "" for candidate in failed]

    @property
    def counting(self) -> list[Candidate]:
        return [c for c in self.candidates if c.number not in self._tried_again]

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers - 1


Counts = dict[str, Any]


def both(
    record: Record, steps: Sequence[Step], target: Fitness | None
) -> tuple[list[Counts], list[Counts]]:
    """After each step what is tallied, and what a recount says."""
    says, anew = list[Counts](), list[Counts]()
    tally, since = Tally(record.counting, target=target), -1
    failures = FailureRow(record.candidates, since=since)
    for step in steps:
        match step:
            case "ask":
                tally.ask(record.ask())
            case "landmark":
                tally.ask(record.ask("landmark"))
            case "resume":
                record.resume()
                tally = Tally(record.counting, target=target)
                since = record.numbers - 1
                failures = FailureRow(record.candidates, since=since)
            case which, outcome, attempts:
                if ended := record.end(which, outcome, attempts):
                    tally.end(ended)
                    failures.end(ended)
        halt = failures.halt()
        says.append(tallied(tally, STALE_AFTER) | {"halt": halt and halt.candidates})
        anew.append(recounted(record.counting, target, STALE_AFTER))
        anew[-1]["halt"] = halted(record.candidates, since)
    return says, anew


def steps(objectives: int) -> st.SearchStrategy[list[Step]]:
    # Few values, so that many are equal; two, so that of several objectives few are beaten.
    values = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0))
    fitness: st.SearchStrategy[Outcome] = st.tuples(*[values] * objectives)
    others: st.SearchStrategy[Outcome] = st.sampled_from((*FAILURES, "stopped"))
    ends = st.tuples(st.integers(0, 9), fitness | fitness | others, st.sampled_from((0, 1, 1, 2)))
    asks: st.SearchStrategy[Step] = st.sampled_from(("ask", "ask", "ask", "landmark", "resume"))
    return st.lists(asks | ends, max_size=80)


@pytest.mark.parametrize("objectives", [1, 2, 3])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_step_by_step_it_is_what_a_recount_says(objectives: int, data: st.DataObject) -> None:
    target = data.draw(st.none() | st.just((0.75,) * objectives))
    says, anew = both(Record(), data.draw(steps(objectives)), target)
    assert says == anew


SEEN: Step = (0, (0.5,), 0)


@pytest.mark.parametrize(
    ("told", "of_the_last"),
    [
        # Two have the target, and the older one ends last.
        (("ask", "ask", (1, (0.75,), 1), (0, (1.0,), 1)), {"reached": 0, "improvement": 0}),
        (("ask", "ask", (1, (1.0,), 1), (0, (1.0,), 1)), {"reached": 0, "improvement": 1}),
        # One that was lost does not part those that had been scored before.
        (("ask", SEEN, "ask", (0, LOST, 1), "ask", SEEN, "ask", SEEN), {"stale": True}),
        (("ask", SEEN, "ask", (0, (0.5,), 1), "ask", SEEN, "ask", SEEN), {"stale": False}),
        (("ask", SEEN, "ask", SEEN, "ask", SEEN, "ask"), {"stale": False}),
    ],
)
def test_what_chance_seldom_finds(told: Sequence[Step], of_the_last: dict[str, Any]) -> None:
    says, anew = both(Record(), told, (0.75,))
    assert says == anew
    last = {key: getattr(says[-1][key], "number", says[-1][key]) for key in of_the_last}
    assert last == of_the_last


@settings(max_examples=20, deadline=None)
@given(steps(1))
def test_those_beyond_a_hundred_that_are_lost_count_again(more: list[Step]) -> None:
    """Also where an older one is lost last: then the youngest of the hundred counts again."""
    record = Record()
    for _ in range(SPARED + 3):
        record.ask()
    for _ in range(SPARED - 2):
        record.end(3, LOST, 1)  # three of the oldest are under way
    lost: list[Step] = [(0, LOST, attempts) for attempts in (1, 0, 0, 1, 1)]
    says, anew = both(record, [*lost, *more], None)
    assert says == anew
