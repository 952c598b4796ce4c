"""What hears of a search, and may stop it."""

from __future__ import annotations

from evomerge.cluster.base import Executor
from evomerge.config import Job
from evomerge.searching.progress import Progress, Scoring
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study

__all__ = ["Listener"]


class Listener:
    """What hears of a search; every method does nothing unless it is overridden.

        class Enough(evomerge.Listener):
            def told(self, candidate):
                if candidate.fitness and candidate.fitness[0] > 0.5:
                    self.stop("half of the problems are solved")

        evomerge.search("job.yaml", listener=Enough())

    All methods are called in the thread that searches, and it waits for them. What one of them
    raises ends the search as Ctrl-C does: the record is complete, and `resume` goes on. The order:

        doing, said*, started, (progressed | told)*, said, scored*, compared
    """

    stopped: str | None = None
    """Why the search is to end, once `stop` was called."""

    def stop(self, reason: str = "a listener said stop") -> None:
        """End the search: nothing more is asked, what is under way is finished, and the winner is
        chosen and compared as at the end of a budget. The record keeps the reason, and a resumed
        study does not search on. After the search it changes nothing.
        """
        self.stopped = reason

    def doing(self, what: str) -> None:
        """What is done from now on, in a few words: `checking the job`, `starting Ray here`."""

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        """The workers are being started; the search begins, or goes on.

        `study` is open for writing: read from it what you like, and write nothing.
        """

    def progressed(self, progress: Progress) -> None:
        """Called at least every half second while the search runs."""

    def told(self, candidate: Candidate) -> None:
        """A candidate has come to its end, which is on record: done, stopped or failed. The
        optimizer has heard of it."""

    def scored(self, scoring: Scoring) -> None:
        """The search is over, and models are scored on another split, or searches of equal cost go
        on beside it: called at least every second while they do."""

    def said(self, message: str) -> None:
        """A line to read: a warning before the search, or why it is over."""

    def compared(self, comparison: Comparison) -> None:
        """The holdout has been scored; nothing follows."""
