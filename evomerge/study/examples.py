"""Per-example scores: one compressed file an evaluation, which is also the cache of evaluations.

A report is saved before its stage is recorded or its candidate closed. So an evaluation that
finished is never repeated, not even when the search was killed between the two. What the model
answered is kept beside it (`evomerge.study.answer_files`), and no search reads that.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from evomerge.errors import RecordError
from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Report, Selection, Split
from evomerge.study.answer_files import ANSWERS_SUFFIX, AnswerFiles
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.disk import written
from evomerge.study.kept_files import KeptFiles

__all__ = ["Examples", "part_name"]

_SUFFIX = ".json.gz"


def part_name(examples: Selection) -> str:
    """16 hexadecimal digits that name a part of a split, whatever the order of its tasks."""
    chosen = {task: list(places) for task, places in examples.items() if places}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


class Examples:
    """Reports by recipe digest, evaluator digest, split and part of the split."""

    def __init__(
        self, folder: Path, elsewhere: ArtifactFolder | None = None, *, alone: bool = False
    ) -> None:
        """`elsewhere`: the study's artifacts; `alone`: nobody else writes there."""
        self._files = KeptFiles(folder, elsewhere, alone=alone)
        self._answers = AnswerFiles(self._files)
        self._parts: dict[str, set[str]] | None = None
        """Names of what is kept of a split -> of its parts; listed when first asked for."""

    def fetch(self, *, answers: bool) -> None:
        """Bring here what is only among the artifacts: all reports, and `answers`.

        Raises:
            InfrastructureError: the artifacts cannot be read, or the disk refuses.
        """
        with written(self._files.path("")):
            self._files.fetch_all(_SUFFIX, without=None if answers else ANSWERS_SUFFIX)

    def save(
        self, digest: str, evaluator_digest: str, report: Report, part: str | None = None
    ) -> None:
        """Keep a report, and its answers; those already there for the same evaluation are replaced.

        `part`: the `part_name` of the examples that it is about; None: all of the split.

        Raises:
            InfrastructureError: the disk refuses; what was there is as it was.
        """
        name = _name(digest, evaluator_digest, report.split, part)
        file = f"{name}{_SUFFIX}"
        with written(self._files.path(file)):
            if report.answers:
                self._answers.save(name, report.answers)
            self._files.write(file, report.model_dump_json().encode())
        if part is not None and self._parts is not None:
            self._parts.setdefault(_name(digest, evaluator_digest, report.split, None), set()).add(
                part
            )

    def load(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The report of that evaluation, if it was made, without its answers.

        Raises:
            RecordError: the file is damaged.
        """
        file = f"{_name(digest, evaluator_digest, split, part)}{_SUFFIX}"
        cure = "delete it to evaluate again"
        try:
            content = self._files.read(file)
            return None if content is None else Report.model_validate_json(content)
        except RecordError as problem:
            raise RecordError(f"{problem}; {cure}") from None
        except ValueError:
            raise RecordError(f"{self._files.path(file)}: is damaged; {cure}") from None

    def with_answers(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The report of that evaluation, if it was made, with the answers that are kept.

        Raises:
            RecordError: a file is damaged.
        """
        report = self.load(digest, evaluator_digest, split, part)
        if report is None:
            return None
        answers = self.load_answers(digest, evaluator_digest, split, part) or {}
        return report.model_copy(update={"answers": answers})

    def parts(self, digest: str, evaluator_digest: str, split: Split) -> list[str]:
        """Names of the parts of a split that there are reports of, sorted: as the folder was when
        this was first asked, and of what was saved since.

        Raises:
            RecordError: the folder cannot be read.
        """
        if self._parts is None:
            self._parts = {}
            for file in self._files.names(_SUFFIX):
                name, _, part = file.removesuffix(_SUFFIX).rpartition(".")
                if not file.endswith(ANSWERS_SUFFIX):
                    self._parts.setdefault(name, set()).add(part)
        return sorted(self._parts.get(_name(digest, evaluator_digest, split, None), ()))

    def load_answers(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Answers | None:
        """What was answered in that evaluation; None where it is not kept.

        Raises:
            RecordError: the file is damaged.
        """
        return self._answers.load(_name(digest, evaluator_digest, split, part))


def _name(digest: str, evaluator_digest: str, split: Split, part: str | None) -> str:
    piece = "" if part is None else f".{part}"
    return f"{digest}.{evaluator_digest[:16]}.{split}{piece}"
