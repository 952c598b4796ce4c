"""What a cluster shows of a search while it runs: metrics, and how it stands in a sentence."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator

from evomerge.cluster.base import Executor
from evomerge.cluster.metrics import Reading, Watched
from evomerge.evaluators.quantities import natural
from evomerge.searching.pace import Pace, work_of
from evomerge.searching.progress import Progress, Scoring
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.wording import clock, count

__all__ = ["Telemetry", "phases", "standing"]

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""Values are handed on at most so often; what is counted meanwhile is not lost."""
RECENT = 50
"""So many candidates are in the mean fitness."""
PARENT = "parent:"
"""What the label of a landmark begins with that makes a parent's weights."""


class Telemetry:
    """Hands on to the cluster what it hears of a search; where nobody watches, it does nothing.

    Its methods are called as those of a `Listener`. A fault in it ends it, and never the search.
    """

    def __init__(
        self, study: Study, executor: Executor, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            study: what is on record is counted.
            executor: shows what it can, if it is `Watched`.
            clock: seconds, of which only differences mean something.
        """
        self._clock = clock
        self._shown_at: float | None = None
        self._executor = executor
        self._board = executor if isinstance(executor, Watched) else None
        """Where it is shown; None where nobody watches, or after a fault."""
        self._states = Counter[str]()
        """How many candidates came to each end."""
        self._recent: deque[Candidate] = deque(maxlen=RECENT)
        self._best_parent: Candidate | None = None
        self._spent: defaultdict[str, float] = defaultdict(float)
        """Phase -> seconds that were not handed on yet."""
        self._evaluated = 0
        self._asking_s = 0.0
        self._pace = Pace()
        if self._board is not None:
            for candidate in study.candidates():
                self._count(candidate)

    def progressed(self, progress: Progress) -> None:
        """Hand on where the search stands."""
        if self._board is None:
            return
        self._pace.hear(progress)
        if self._is_time():
            missing = self._executor.waiting_for()
            message = standing(progress, self._best_parent, self._pace.left_s())
            message += f"; {missing}" if missing else ""
            self._show(self._readings(progress), message)

    def told(self, candidate: Candidate) -> None:
        """Count it, and what it took."""
        if self._board is None:
            return
        self._count(candidate)
        if candidate.attempts and candidate.told_s is not None:
            self._evaluated += 1
            for phase, seconds in phases(candidate, candidate.told_s - candidate.asked_s).items():
                self._spent[phase] += seconds

    def scored(self, scoring: Scoring) -> None:
        """Hand on how far the models of a split are scored."""
        if self._board is not None and self._is_time():
            total = count(scoring.total, scoring.noun)
            message = f"the search is over; {scoring.where}: {scoring.done} of {total}"
            self._show(self._of_workers(), message)

    def _is_time(self) -> bool:
        """Whether enough time has passed since something was handed on, which happens now."""
        now = self._clock()
        if self._shown_at is not None and now - self._shown_at < EVERY_S:
            return False
        self._shown_at = now
        return True

    def _count(self, candidate: Candidate) -> None:
        if candidate.told is None:
            return
        self._states[candidate.state] += 1
        if candidate.fitness is None:
            return
        self._recent.append(candidate)
        best = self._best_parent
        is_parent = (candidate.label or "").startswith(PARENT)
        if is_parent and (best is None or candidate.fitness > (best.fitness or ())):
            self._best_parent = candidate

    def _show(self, readings: Iterator[Reading], message: str) -> None:
        assert self._board is not None
        try:
            self._board.show(list(readings), message)
        except Exception as problem:  # noqa: BLE001 - no search ends by what is shown of it
            log.warning("nothing more is shown: %s: %s", type(problem).__name__, problem)
            self._board = None

    def _readings(self, progress: Progress) -> Iterator[Reading]:
        """All values of the moment, and what was counted since the last."""
        states = {"running": progress.running, "paused": progress.paused}
        states |= {state: self._states[state] for state in ("done", "stopped", "failed")}
        for state, number in states.items():
            yield Reading("evomerge_candidates", number, {"state": state})
        _, total = work_of(progress)
        if total is not None:
            yield Reading("evomerge_budget", total)
        left_s = self._pace.left_s()
        if left_s is not None:
            yield Reading("evomerge_left", left_s)
        yield from self._of_fitness(progress)
        self._spent["ask"] += progress.asking_s - self._asking_s
        self._asking_s = progress.asking_s
        for phase, seconds in self._spent.items():
            yield Reading("evomerge_seconds", seconds, {"phase": phase})
        yield Reading("evomerge_evaluations", self._evaluated)
        self._spent.clear()
        self._evaluated = 0
        yield from self._of_workers()

    def _of_fitness(self, progress: Progress) -> Iterator[Reading]:
        for place, name in enumerate(progress.objectives):
            tags = {"objective": name}
            if place < len(progress.bests):
                best = (progress.bests[place].fitness or ())[place]
                yield Reading("evomerge_best_fitness", best, tags)
            if self._recent:
                values = [(candidate.fitness or ())[place] for candidate in self._recent]
                yield Reading("evomerge_mean_fitness", sum(values) / len(values), tags)
            if self._best_parent is not None:
                parent = (self._best_parent.fitness or ())[place]
                yield Reading("evomerge_best_parent_fitness", parent, tags)

    def _of_workers(self) -> Iterator[Reading]:
        workers = self._executor.workers()
        states = Counter(worker.state for worker in workers)
        for state in ("starting", "idle", "busy", "draining", "lost"):
            yield Reading("evomerge_workers", states[state], {"state": state})
        restarts = sum(worker.restarts for worker in workers)
        yield Reading("evomerge_worker_restarts", restarts)


def phases(candidate: Candidate, seconds: float) -> dict[str, float]:
    """What the time from asking a candidate to its end was spent on: phase -> seconds, 0 or more.

    What the worker did not use is the queue's: waiting for a worker and for other stages, the way
    there and back, and attempts that came to nothing.
    """
    took = candidate.seconds
    worked = took.get("merge_and_load", 0.0) + took.get("evaluate", 0.0)
    merge, generate = took.get("merge", 0.0), took.get("generate", 0.0)
    spent = {
        "queue": seconds - worked,
        "merge": merge,
        "load": took.get("merge_and_load", 0.0) - merge,
        "generate": generate,
        "score": took.get("evaluate", 0.0) - generate,
    }
    return {phase: max(0.0, value) for phase, value in spent.items()}


def standing(progress: Progress, best_parent: Candidate | None, left_s: float | None) -> str:
    """`best 0.5250 (candidate 9), best parent 0.3750 (math); 12 of 25 candidates, 1 failed; about
    3:20 left`."""
    best = "nothing scored yet"
    if progress.best is not None:
        best = f"best {_value(progress.best, progress)} (candidate {progress.best.number})"
    if best_parent is not None:
        name = (best_parent.label or "").removeprefix(PARENT)
        best += f", best parent {_value(best_parent, progress)} ({name})"
    done, total = work_of(progress)
    noun = "candidate" if progress.evaluations is None else "evaluation"
    ended = count(done, noun) if total is None else f"{done} of {count(total, noun)}"
    ended += f", {progress.failed} failed" if progress.failed else ""
    left = "" if left_s is None else f"; about {clock(left_s)} left"
    return f"{best}; {ended}{left}"


def _value(candidate: Candidate, progress: Progress) -> str:
    """The first number of its fitness, in its own unit."""
    return f"{natural(progress.objectives[0], (candidate.fitness or (0.0,))[0]):z.4f}"
