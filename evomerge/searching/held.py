"""Of the examples that a stage asks for, those that the recipe was scored on before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Report, Selection, TokenCount
from evomerge.evaluators.quantities import costs_of
from evomerge.evaluators.selection import join, part_of

__all__ = ["HeldExamples"]


@dataclass(frozen=True)
class HeldExamples:
    """A part of what is wanted that need not be asked for.

    An example's score does not depend on which others are asked with it, so that reports over other
    parts of the split tell it.
    """

    report: Report
    """Of the examples that are there: nothing is spent on them, but what they cost it says."""
    missing: Selection
    """Those that are not: task -> places; empty where all are there."""

    @classmethod
    def of(cls, reports: Sequence[Report], wanted: Selection) -> HeldExamples | None:
        """What reports of one recipe tell of the examples in `wanted`.

        None where they tell nothing of them, or cannot be joined: a task's value is no mean of its
        examples, or they are of different weights.
        """
        if not reports:
            return None
        try:
            joined = join(reports, {})
            scored = {task: frozenset(places) for task, places in (joined.places or {}).items()}
            there = {
                task: tuple(place for place in places if place in scored.get(task, ()))
                for task, places in wanted.items()
            }
            there = {task: places for task, places in there.items() if places}
            if not there:
                return None
            kept = joined if there == joined.places else part_of(joined, there)
        except ValueError:
            return None
        missing = {
            task: tuple(place for place in places if place not in scored.get(task, ()))
            for task, places in wanted.items()
        }
        spent = None if kept.tokens is None else TokenCount(read=0, generated=0)
        free = {
            "seconds": {},
            "tokens": spent,
            "costs": costs_of(kept),
            "answers": _answers([report.answers for report in reports], there),
        }
        return cls(
            kept.model_copy(update=free),
            {task: places for task, places in missing.items() if places},
        )

    def and_rest(self, rest: Report | None, sizes: Mapping[str, int]) -> Report:
        """The report of all that was wanted.

        Args:
            rest: of what was missing; None where nothing was.
            sizes: task -> examples of the split, where all of it was wanted; else nothing.

        Raises:
            ValueError: the two cannot be joined, as `join` says.
        """
        reports = [self.report] if rest is None else [self.report, rest]
        joined = join(reports, sizes)
        everything = {task: range(len(score.examples)) for task, score in joined.tasks.items()}
        answers = _answers([report.answers for report in reports], joined.places or everything)
        return joined.model_copy(update={"answers": answers})


def _answers(parts: Sequence[Answers], places: Mapping[str, Sequence[int]]) -> Answers:
    """The answers of several parts to the examples at some places, as far as they are kept."""
    by_place = {
        task: {answer.place: answer for part in parts for answer in part.get(task, ())}
        for task in places
    }
    kept = {task: tuple(by[at] for at in places[task] if at in by) for task, by in by_place.items()}
    return {task: answers for task, answers in kept.items() if answers}
