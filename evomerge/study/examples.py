"""Per-example scores: one compressed file an evaluation, which is also the cache of evaluations.

A report is saved before its stage is recorded or its candidate closed. So an evaluation that
finished is never repeated, not even when the search was killed between the two. What the model
answered is kept beside it (`evomerge.study.answer_files`), and no search reads that.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from evomerge.errors import RecordError
from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Report, Selection, Split
from evomerge.publish import write_whole
from evomerge.reading.files import is_there
from evomerge.reading.gzip_files import read_gzip
from evomerge.study.answer_files import AnswerFiles
from evomerge.study.disk import written

__all__ = ["Examples", "part_name"]


def part_name(examples: Selection) -> str:
    """16 hexadecimal digits that name a part of a split, whatever the order of its tasks."""
    chosen = {task: list(places) for task, places in examples.items() if places}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


class Examples:
    """Reports by recipe digest, evaluator digest, split and part of the split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers = AnswerFiles(folder)

    def save(
        self, digest: str, evaluator_digest: str, report: Report, part: str | None = None
    ) -> None:
        """Keep a report, and its answers; those already there for the same evaluation are replaced.

        `part`: the `part_name` of the examples that it is about; None: all of the split.

        Raises:
            InfrastructureError: the disk refuses; what was there is as it was.
        """
        name = _name(digest, evaluator_digest, report.split, part)
        path = self._path(name)
        with written(path):
            if report.answers:
                self._answers.save(name, report.answers)
            data = report.model_dump_json().encode()
            # The time of writing is left out: the same report makes the same file.
            write_whole(path, gzip.compress(data, mtime=0))

    def load(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The report of that evaluation, if it was made, without its answers.

        Raises:
            RecordError: the file is damaged.
        """
        path = self._path(_name(digest, evaluator_digest, split, part))
        if not is_there(path):
            return None
        try:
            return Report.model_validate_json(read_gzip(path))
        except (RecordError, ValueError):
            raise RecordError(f"{path}: is damaged; delete it to evaluate again") from None

    def load_answers(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Answers | None:
        """What was answered in that evaluation; None where it is not kept.

        Raises:
            RecordError: the file is damaged.
        """
        return self._answers.load(_name(digest, evaluator_digest, split, part))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json.gz"


def _name(digest: str, evaluator_digest: str, split: Split, part: str | None) -> str:
    piece = "" if part is None else f".{part}"
    return f"{digest}.{evaluator_digest[:16]}.{split}{piece}"
