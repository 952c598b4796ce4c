"""A study as rows of plain data, for frames and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from evomerge.evaluators.base import Report, Split
from evomerge.study.candidate import Candidate

__all__ = ["candidate_rows", "example_rows"]

ExampleRow = tuple[str, int | None, Split, str, int, float]
"""(model, its number as a candidate, split, task, place in the split, score)."""


def candidate_rows(
    candidates: Sequence[Candidate], objectives: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each candidate; a key that only some of them have is left out of the others.

    `objectives`: the names of the fitness's numbers.
    """
    return [
        {
            "number": candidate.number,
            "state": candidate.state,
            "origin": candidate.label or candidate.proposed_by,
            **dict(zip(objectives, candidate.fitness or (None,) * len(objectives), strict=True)),
            **_errors(candidate, objectives),
            **{f"task.{name}": value for name, value in candidate.tasks.items()},
            **{f"gene.{name}": value for name, value in candidate.values.items()},
            "truncated": candidate.truncated,
            **{f"seconds.{phase}": seconds for phase, seconds in candidate.seconds.items()},
            "worker": candidate.worker,
            "attempts": candidate.attempts,
            "asked_s": candidate.asked_s,
            "told_s": candidate.told_s,
            "failure": candidate.failure and candidate.failure.message,
            "why_stopped": candidate.why,
            "digest": candidate.digest,
        }
        for candidate in candidates
    ]


def _errors(candidate: Candidate, objectives: Sequence[str]) -> dict[str, float]:
    """The standard errors of a fitness that was estimated; of one that was not, nothing."""
    errors = zip(objectives, candidate.estimated or (), strict=False)
    return {f"estimated.{name}": error for name, error in errors}


def example_rows(model: str, report: Report) -> Iterator[ExampleRow]:
    """A row for each score of an example. A report of a part of a split says at which places."""
    named = re.fullmatch(r"candidate (\d+)", model)
    number = int(named[1]) if named else None
    for task, score in report.tasks.items():
        places = range(len(score.examples)) if report.places is None else report.places[task]
        for place, value in zip(places, score.examples, strict=True):
            yield model, number, report.split, task, place, value
