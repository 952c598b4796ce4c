"""Per-example scores: one compressed file an evaluation, which is also the cache of evaluations.

A report is saved before its candidate is closed. So an evaluation that finished is never repeated,
not even when the search was killed between the two.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from evomerge.errors import RecordError
from evomerge.evaluators.base import Report, Split
from evomerge.publish import write_whole

__all__ = ["Examples"]


class Examples:
    """Reports by recipe digest, evaluator digest and split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, digest: str, evaluator_digest: str, report: Report) -> None:
        """Keep a report; one already there for the same evaluation is replaced."""
        data = report.model_dump_json().encode()
        # The time of writing is left out: the same report makes the same file.
        write_whole(
            self._path(digest, evaluator_digest, report.split), gzip.compress(data, mtime=0)
        )

    def load(self, digest: str, evaluator_digest: str, split: Split) -> Report | None:
        """The report of that evaluation, if it was made.

        Raises:
            RecordError: the file is damaged.
        """
        path = self._path(digest, evaluator_digest, split)
        try:
            return Report.model_validate_json(gzip.decompress(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, zlib.error):
            raise RecordError(f"{path}: is damaged; delete it to evaluate again") from None

    def _path(self, digest: str, evaluator_digest: str, split: Split) -> Path:
        return self._folder / f"{digest}.{evaluator_digest[:16]}.{split}.json.gz"
