"""Reports of evaluations that need not be made again: the study's own, and what others lend."""

from __future__ import annotations

from collections.abc import Callable

from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Report, Split
from evomerge.study.examples import Examples

__all__ = ["KnownReports", "Lend"]

Lend = Callable[[str, str, Split, str | None], Report | None]
"""Digests of recipe and evaluator, split and part -> that evaluation's report, if it is there."""


class KnownReports:
    """Those of one study, by recipe digest, evaluator digest, split and part of the split.

    A part is named by its examples (`examples.part_name`); None is all of the split.
    """

    def __init__(self, examples: Examples, check_writing: Callable[[], None]) -> None:
        """`check_writing`: raises a RecordError where the study is not open for writing."""
        self._examples, self._check_writing = examples, check_writing
        self._lend: Lend | None = None

    def borrow(self, lend: Lend) -> None:
        """Take those that this study has not from elsewhere, while it is open for writing."""
        self._check_writing()
        self._lend = lend

    def save(
        self, digest: str, evaluator_digest: str, report: Report, part: str | None = None
    ) -> None:
        """Keep a report with the scores of its examples.

        Raises:
            RecordError: the study is not open for writing.
            InfrastructureError: the disk refuses.
        """
        self._check_writing()
        self._examples.save(digest, evaluator_digest, report, part)

    def load(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The report of a finished evaluation, whichever candidate it was made for; one that is
        borrowed is kept here from then on.

        Raises:
            RecordError: its file is damaged.
        """
        known = self._examples.load(digest, evaluator_digest, split, part)
        if known is not None or self._lend is None:
            return known
        lent = self._lend(digest, evaluator_digest, split, part)
        if lent is not None:
            self.save(digest, evaluator_digest, lent, part)
        return lent

    def load_answers(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Answers | None:
        """What a model answered in an evaluation; None where it is not kept."""
        return self._examples.load_answers(digest, evaluator_digest, split, part)

    def fetch(self, *, answers: bool = False) -> None:
        """Bring here what lies only elsewhere: the scores of examples, and `answers`.

        Raises:
            InfrastructureError: it cannot be read there, or the disk refuses.
        """
        self._examples.fetch(answers=answers)
