"""Reports of other studies: what was evaluated there is not evaluated again here.

A report is found by the digests of recipe and evaluator, by split and part, as one of this study
is. A recipe names its sources and not their weights, so a study lends only where the weights of the
sources that it shares with this one are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from evomerge.errors import RecordError, UserError
from evomerge.evaluators.base import Report, Split
from evomerge.reading.files import is_there
from evomerge.study.examples import Examples
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study

__all__ = ["Lenders", "studies_in"]


def studies_in(folder: Path) -> list[Path]:
    """The study in a folder, or the studies in the folders right below it, by name.

    Raises:
        UserError: there is none.
    """
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    studies = [path for path in (folder, *below) if is_there(StudyFolder(path).identity)]
    if not studies:
        raise UserError(
            f"reuse: {folder} is no study and has none right below it; name the folder of a study,"
            " or one of studies, such as runs"
        )
    return studies


class Lenders:
    """Other studies, in the order in which they are asked."""

    def __init__(
        self, studies: Sequence[Path], sources: Mapping[str, Any], fingerprints: Mapping[str, str]
    ) -> None:
        """Look at them.

        Args:
            sources: this study's, as its job has them in plain data.
            fingerprints: source -> a short name for its weights.

        Raises:
            UserError: one has the same source with other weights, or cannot be read.
        """
        self._examples = []
        for path in studies:
            with Study.open(path, write=False) as study:
                theirs = study.get("sources") or {}
                for name, source in (study.job.get("sources") or {}).items():
                    same = sources.get(name) == source
                    if same and theirs.get(name, fingerprints[name]) != fingerprints[name]:
                        raise UserError(
                            f"reuse: {path} was made with other weights of the source {name!r}, so"
                            " its scores are of other models; leave it out"
                        )
            self._examples.append(Examples(StudyFolder(path).examples))

    def load(
        self, digest: str, evaluator: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The first report of that evaluation that one of them has, with its answers."""
        for examples in self._examples:
            try:
                report = examples.with_answers(digest, evaluator, split, part)
            except RecordError:
                continue  # theirs is damaged: it is evaluated here
            if report is not None:
                return report
        return None

    def parts(self, digest: str, evaluator: str, split: Split) -> list[Report]:
        """All reports over parts of the split that they have, with their answers; of a part that
        several have, the first."""
        reports: dict[str, Report] = {}
        for examples in self._examples:
            with suppress(RecordError):  # theirs is damaged: it is evaluated here
                for part in examples.parts(digest, evaluator, split):
                    report = examples.with_answers(digest, evaluator, split, part)
                    if report is not None:
                        reports.setdefault(part, report)
        return list(reports.values())
