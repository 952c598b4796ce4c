"""What several studies of one benchmark would score alike is scored once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evomerge.cluster.base import Executor
from evomerge.commands.terminal import Terminal
from evomerge.config import Job
from evomerge.evaluators.base import Split
from evomerge.study.record import Study

__all__ = ["Sharing", "share"]

AFTER: Sequence[Split] = ("validation", "holdout")
"""Splits of which a search costs the same with such reports as without them."""


class Sharing(Terminal):
    """The usual terminal, and the reports that earlier studies have of the models after the
    search: parents and plain merges do not depend on the seed."""

    def __init__(self, folder: Path, finished: Sequence[Path], begun: Path | None = None) -> None:
        """`finished`: earlier studies; one that is not there has nothing to share. `begun`: a study
        whose candidates are the first ones of this search."""
        super().__init__(folder)
        self._finished, self._begun = finished, begun

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        for other in self._finished:
            share(other, study.path)
        if self._begun is not None:
            share(self._begun, study.path, ("search",))
        super().started(job, study, executor)


def share(finished: Path, study: Path, splits: Sequence[Split] = AFTER) -> None:
    """Put one study's reports beside another's. Their names hold the digests of recipe and
    evaluator, so each is found by the model that it is about, only."""
    for split in splits:
        for report in (finished / "examples").glob(f"*.{split}.json.gz"):
            copy = study / "examples" / report.name
            if not copy.exists():
                copy.parent.mkdir(exist_ok=True)
                copy.write_bytes(report.read_bytes())
