"""Reports of evaluations that need not be made again: the study's own, and what others lend."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Report, Split
from evomerge.study.examples import Examples

__all__ = ["KnownReports", "Lender"]


class Lender(Protocol):
    """Whoever has reports of evaluations, by digests of recipe and evaluator and by split; they
    come with their answers."""

    def load(
        self, digest: str, evaluator: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The report over a part of the split, None being all of it, if it is there."""

    def parts(self, digest: str, evaluator: str, split: Split) -> list[Report]:
        """The reports over parts of the split."""


class KnownReports:
    """Those of one study, by recipe digest, evaluator digest, split and part of the split.

    A part is named by its examples (`examples.part_name`); None is all of the split.
    """

    def __init__(self, examples: Examples, check_writing: Callable[[], None]) -> None:
        """`check_writing`: raises a RecordError where the study is not open for writing."""
        self._examples, self._check_writing = examples, check_writing
        self._lender: Lender | None = None

    def borrow(self, lender: Lender) -> None:
        """Take those that this study has not from elsewhere, while it is open for writing."""
        self._check_writing()
        self._lender = lender

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
        if known is not None or self._lender is None:
            return known
        lent = self._lender.load(digest, evaluator_digest, split, part)
        if lent is not None:
            self.save(digest, evaluator_digest, lent, part)
        return lent

    def parts(
        self,
        digest: str,
        evaluator_digest: str,
        split: Split,
        *,
        but: Collection[str | None] = (),
    ) -> list[Report]:
        """All reports over parts of a split, with the answers that are kept: the study's own, then
        what is lent. `but`: names of parts that the caller has.

        Raises:
            RecordError: a file is damaged.
        """
        own = [
            self._examples.with_answers(digest, evaluator_digest, split, name)
            for name in self._examples.parts(digest, evaluator_digest, split)
            if name not in but
        ]
        lent = self._lender.parts(digest, evaluator_digest, split) if self._lender else []
        return [*(report for report in own if report is not None), *lent]

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
