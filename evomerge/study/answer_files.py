"""The answers of a study: a compressed file an evaluation, all together within a limit.

Answers are to be read, and nothing is decided by them; so where there are too many, files are
dropped: first those of the search split, the oldest before the others, then those of the validation
split, and the holdout's last.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from pydantic import TypeAdapter

from evomerge.errors import RecordError
from evomerge.evaluators.answers import Answer, Answers
from evomerge.evaluators.base import SPLITS
from evomerge.publish import write_whole
from evomerge.reading.files import is_there
from evomerge.reading.gzip_files import read_gzip

__all__ = ["ANSWERS_SUFFIX", "STUDY_BYTES", "AnswerFiles"]

STUDY_BYTES = 64 * 2**20
"""Most bytes of a study's answers, as they lie on disk."""

ANSWERS_SUFFIX = ".answers.json.gz"

_CONTENT = TypeAdapter(dict[str, tuple[Answer, ...]])


class AnswerFiles:
    """Answers by the name of their evaluation: RECIPE.EVALUATOR.SPLIT, and a part's name."""

    def __init__(self, folder: Path, most_bytes: int = STUDY_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._held: int | None = None
        """Bytes of all files; counted when the first is written."""

    def save(self, name: str, answers: Answers) -> None:
        """Keep the answers of an evaluation, which gives way to none that are kept longer."""
        data = gzip.compress(_CONTENT.dump_json(dict(answers), exclude_defaults=True), mtime=0)
        path = self._path(name)
        if self._held is None:
            self._held = sum(file.stat().st_size for file in self._files())
        before = path.stat().st_size if path.exists() else 0
        write_whole(path, data)
        self._held += len(data) - before
        if self._held > self._most_bytes:
            self._drop()

    def load(self, name: str) -> Answers | None:
        """The answers of an evaluation; None where they are not kept.

        Raises:
            RecordError: the file is damaged.
        """
        path = self._path(name)
        if not is_there(path):
            return None
        try:
            return _CONTENT.validate_json(read_gzip(path))
        except (RecordError, ValueError):
            raise RecordError(
                f"{path}: is damaged; delete it, only the answers are lost by that"
            ) from None

    def _drop(self) -> None:
        """Remove files until a tenth of the room is free, so that this is not done every time."""
        assert self._held is not None
        for path in sorted(self._files(), key=_worth):
            if self._held <= self._most_bytes * 0.9:
                return
            self._held -= path.stat().st_size
            path.unlink()

    def _files(self) -> list[Path]:
        return list(self._folder.glob(f"*{ANSWERS_SUFFIX}"))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{ANSWERS_SUFFIX}"


def _worth(path: Path) -> tuple[int, int, str]:
    """What is dropped first comes first."""
    splits: tuple[str, ...] = SPLITS
    return splits.index(path.name.split(".")[2]), path.stat().st_mtime_ns, path.name
