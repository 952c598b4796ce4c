"""The answers of a study: a compressed file an evaluation, all together within a limit.

Answers are to be read, and nothing is decided by them; so where there are too many, files are
dropped: first those of the search split, the oldest before the others, then those of the validation
split, and the holdout's last.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from evomerge.errors import RecordError
from evomerge.evaluators.answers import Answer, Answers
from evomerge.evaluators.base import SPLITS
from evomerge.study.kept_files import Kept, KeptFiles

__all__ = ["ANSWERS_SUFFIX", "STUDY_BYTES", "AnswerFiles"]

STUDY_BYTES = 64 * 2**20
"""Most bytes of a study's answers, as they lie on disk."""

ANSWERS_SUFFIX = ".answers.json.gz"

_CONTENT = TypeAdapter(dict[str, tuple[Answer, ...]])


class AnswerFiles:
    """Answers by the name of their evaluation: RECIPE.EVALUATOR.SPLIT, and a part's name."""

    def __init__(self, files: KeptFiles, most_bytes: int = STUDY_BYTES) -> None:
        self._files, self._most_bytes = files, most_bytes
        self._held: int | None = None
        """Bytes of all files; counted when the first is written."""

    def save(self, name: str, answers: Answers) -> None:
        """Keep the answers of an evaluation, which gives way to none that are kept longer."""
        file = f"{name}{ANSWERS_SUFFIX}"
        if self._held is None:
            self._held = sum(about.bytes for about in self._files.about(ANSWERS_SUFFIX).values())
        content = _CONTENT.dump_json(dict(answers), exclude_defaults=True)
        self._held += self._files.write(file, content)
        if self._held > self._most_bytes:
            self._drop()

    def load(self, name: str) -> Answers | None:
        """The answers of an evaluation; None where they are not kept.

        Raises:
            RecordError: the file is damaged.
        """
        file = f"{name}{ANSWERS_SUFFIX}"
        cure = "delete it, only the answers are lost by that"
        try:
            content = self._files.read(file)
            return None if content is None else _CONTENT.validate_json(content)
        except RecordError as problem:
            raise RecordError(f"{problem}; {cure}") from None
        except ValueError:
            raise RecordError(f"{self._files.path(file)}: is damaged; {cure}") from None

    def _drop(self) -> None:
        """Remove files until a tenth of the room is free, so that this is not done every time."""
        assert self._held is not None
        there = self._files.about(ANSWERS_SUFFIX)
        for name, about in sorted(there.items(), key=_worth):
            if self._held <= self._most_bytes * 0.9:
                return
            self._held -= about.bytes
            self._files.remove(name)


def _worth(file: tuple[str, Kept]) -> tuple[int, int, str]:
    """What is dropped first comes first; what has no such name, before all others."""
    name, about = file
    split = next((at for at, split in enumerate(SPLITS) if f".{split}." in name), -1)
    return split, about.written_ns, name
