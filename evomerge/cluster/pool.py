"""A pool of workers in processes of their own: what is decided about them, on Ray and elsewhere.

The pool asks for as many actors as there may be workers, and each is given a place when there is
one. So a node that joins is used, and what cannot be placed is only told of. A worker that dies
(killed, out of memory, its node gone) is replaced, and its candidate is submitted again, at most
`max_attempts` times; an exception inside the worker counts as such a death, since a candidate that
is itself at fault comes back as a `Failure`. Only a worker that is up has a task, so what dies
while it starts costs no candidate an attempt; where none comes up at all, the search stops with the
reason.

A death is no attempt where the node was lost, since no candidate has to do with that: a spot node
that is preempted costs time alone. Ray may hear of a lost node after its processes, so deaths are
counted anew each time. On a node that is about to leave nothing is begun.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection
from dataclasses import replace

from evomerge.cluster.actors import Actors, WorkerDied
from evomerge.cluster.base import Task, TaskResult, WorkerStatus, overrun
from evomerge.cluster.config import RayConfig
from evomerge.cluster.placement import Needs
from evomerge.cluster.pool_worker import Assignment, PoolWorker
from evomerge.errors import InfrastructureError, UserError
from evomerge.evaluators.base import Failure, Outcome
from evomerge.wording import count

__all__ = ["WorkerPool"]

log = logging.getLogger(__name__)

STARTS = 3
"""A worker whose process dies this many times in a row before it comes up is given up."""

NODES = 10
"""A candidate whose node is lost so many times is given up: it may be what brings nodes down."""

STEP_S = 0.5
"""How long an answer is waited for before deadlines are looked at."""


class WorkerPool:
    """Implements `Executor` with one actor per worker."""

    def __init__(self, config: RayConfig, actors: Actors) -> None:
        """Ask for the workers. The pool closes `actors` in the end, also where this fails.

        Raises:
            ConfigError: this machine cannot hold even one worker.
        """
        self._config, self._actors = config, actors
        self._needs = [Needs(kind) for kind in config.kinds]
        self._lost: set[str] = set()
        """Nodes that took a process of ours along."""
        self._queue: deque[Assignment] = deque()
        self._is_open = True
        self._last_reason = ""
        """What the last worker that died before it came up said."""
        try:
            sizes = [needs.sizes(actors.total) for needs in self._needs]
            kinds = [kind for kind, size in enumerate(sizes) for _ in range(size.max)]
            self._pool = [PoolWorker(str(n), actors, kind) for n, kind in enumerate(kinds)]
        except BaseException:  # Ctrl-C too: a Ray that was started here ends with it
            actors.close()
            raise
        self._min = [size.min for size in sizes]

    @property
    def where(self) -> str:
        """For a person: how many workers there may be, and where."""
        return f"{count(len(self._pool), 'Ray worker')}{self._actors.where}"

    @property
    def free(self) -> int:
        """Workers that have a place and no task, less the tasks that wait."""
        if not self._is_open:
            return 0
        free = sum(worker.has_place and worker.assignment is None for worker in self._pool)
        return max(0, free - len(self._queue))

    def workers(self) -> list[WorkerStatus]:
        """Every worker in the order of its id, those without a place too."""
        return [worker.status(draining=not self._is_open) for worker in self._pool]

    def waiting_for(self) -> str | None:
        """Which places are missing, once fewer than asked have had one for `placement_notice_s`;
        and which workers were given up."""
        said = []
        for kind, least in enumerate(self._min):
            workers = [worker for worker in self._pool if worker.kind == kind]
            placed = sum(worker.has_place for worker in workers)
            longest_s = max((w.waited_s for w in workers if _waits(w)), default=0.0)
            if placed < least and longest_s > self._config.placement_notice_s:
                said.append(self._shortage(kind))
        if lost := sum(worker.failed_starts >= STARTS for worker in self._pool):
            said.append(f"{lost} of {len(self._pool)} did not come up: {self._last_reason}")
        return "; ".join(said) or None

    def submit(self, task: Task) -> None:
        """Queue a task; its deadline is `candidate_timeout_s` where it has none of its own.

        Raises:
            RuntimeError: after `drain` or `close`.
        """
        if not self._is_open:
            raise RuntimeError("the executor takes no more tasks")
        if task.deadline_s is None:
            task = replace(task, deadline_s=self._config.candidate_timeout_s)
        self._queue.append(Assignment(task, 1))
        self._dispatch()

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """What has finished since the last call; waits for the first at most `timeout_s`.

        Raises:
            UserError: no worker can come up as the user wants it.
            InfrastructureError: no worker has a place for too long, or none comes up, or what
                gives them has died.
        """
        end = self._actors.now_s() + timeout_s
        while True:
            self._actors.check()
            results = self._step(max(0.0, min(STEP_S, end - self._actors.now_s())))
            self._check_places()
            is_over = results or self._actors.now_s() >= end
            if is_over or not self._pool or (self.free and not self._tasks()):
                return results

    def cancel(self, id_: str) -> None:
        """Do not begin this task; if it runs, let it end and drop what it brings."""
        for assignment in self._tasks():
            if assignment.task.id == id_:
                assignment.cancelled = True
        self._queue = deque(queued for queued in self._queue if not queued.cancelled)

    def drain(self) -> None:
        """Take no more tasks; workers leave as soon as none waits for them."""
        self._is_open = False
        self._dispatch()

    def close(self) -> None:
        """End all workers, and what was begun for them."""
        self._is_open = False
        for worker in self._pool:
            worker.leave()
        self._pool, self._queue = [], deque()
        self._actors.close()

    def _tasks(self) -> list[Assignment]:
        """All that are submitted and not finished."""
        return [w.assignment for w in self._pool if w.assignment is not None] + [*self._queue]

    def _step(self, timeout_s: float) -> list[TaskResult]:
        """What finishes first, and what else has by then; deadlines are kept, tasks handed out."""
        awaited = {w.awaited: w for w in self._pool if w.awaited is not None}
        answered = self._actors.answered(list(awaited), timeout_s) if awaited else ()
        results = [self._advance(awaited[reference]) for reference in answered]
        results += [self._end_overdue(worker) for worker in self._pool]
        for worker in self._pool:
            if self._is_open and worker.state == "idle" and worker.is_on(self._actors.leaving):
                worker.replace()
            worker.ping()
        self._dispatch()
        return [result for result in results if result is not None]

    def _dispatch(self) -> None:
        """Give tasks to the workers that are idle; when draining, let the others go."""
        for worker in self._pool:
            is_leaving = worker.is_on(self._actors.leaving)
            if worker.state == "idle" and self._queue and not is_leaving:
                worker.perform(self._queue.popleft())
        if not self._is_open and not self._queue:
            for worker in [w for w in self._pool if w.assignment is None]:
                worker.leave()
                self._pool.remove(worker)

    def _advance(self, worker: PoolWorker) -> TaskResult | None:
        """What came of a worker: a result, or None where there is none yet, or none any more."""
        try:
            outcome = worker.advance()
        except WorkerDied as death:
            if death.with_its_node and worker.place is None:
                worker.replace()  # its node went before it came there: nothing has failed to start
                return None
            if death.with_its_node and worker.place:
                self._lost.add(worker.place.nodes[0])
            return self._replace(worker, str(death), death.problem)
        assignment = worker.assignment
        if outcome is None or assignment is None:
            return None
        result = _result(worker, assignment, outcome)
        worker.release()
        return result

    def _end_overdue(self, worker: PoolWorker) -> TaskResult | None:
        """End what takes too long: an evaluation, which has failed then, or a start."""
        assignment, config = worker.assignment, self._config
        if assignment is not None:
            deadline_s = assignment.task.deadline_s
            if deadline_s is None or worker.seconds < deadline_s + config.grace_s:
                return None
            log.warning("worker %s hangs at %s and is replaced", worker.where, assignment.task.id)
            result = _result(worker, assignment, overrun(deadline_s))
            worker.replace()
            return result
        is_starting = worker.has_place and not worker.is_up
        if is_starting and worker.seconds > config.start_timeout_s:
            return self._replace(worker, f"it did not come up in {config.start_timeout_s:g} s")
        return None

    def _replace(
        self, worker: PoolWorker, reason: str, problem: Exception | None = None
    ) -> TaskResult | None:
        """A worker has died; its task goes to the head of the queue if it may be tried again.

        Args:
            problem: what was raised; None where there was only silence. A worker that cannot come
                up as the user wants it (a `UserError`) is not started again.

        Raises:
            UserError: that, and no other worker comes up.
            InfrastructureError: it did not come up again and again, and no other worker does.
        """
        assignment, where = worker.assignment, worker.where
        gone = self._lost.union(self._actors.gone)
        log.warning("worker %s failed: %s", where, reason)
        result = None
        if assignment is None or assignment.cancelled:
            pass
        elif self._may_be_tried(again := assignment.again(worker.nodes, problem), gone):
            self._queue.appendleft(again)
        else:
            kind = type(problem).__name__ if problem else None
            failure = Failure(cause="infrastructure", message=reason, error=kind)
            result = _result(worker, assignment, failure)
        if not worker.is_up and not worker.is_on(gone):
            worker.failed_starts += STARTS if isinstance(problem, UserError) else 1
            self._last_reason = reason
        if worker.failed_starts < STARTS:
            worker.replace()
        else:
            worker.leave()
            if not any(w.is_up or (w.has_place and not w.failed_starts) for w in self._pool):
                if isinstance(problem, UserError):
                    raise problem
                raise InfrastructureError(
                    f"the workers do not come up; the last one said: {reason}"
                )
        return result

    def _may_be_tried(self, again: Assignment, gone: Collection[str]) -> bool:
        """Whether a task is begun once more; `gone`: the nodes that are lost. A death in doubt
        counts from the next one on, when it is known whether the node was lost."""
        is_open = again.is_in_doubt and not any(node in gone for node in again.deaths[-1])
        counted = again.counted(gone) - is_open
        return counted < self._config.max_attempts and len(again.deaths) - counted < NODES

    def _check_places(self) -> None:
        """
        Raises:
            InfrastructureError: no worker has had a place for too long.
        """
        limit_s = self._config.placement_timeout_s
        waiting = [worker for worker in self._pool if _waits(worker)]
        if limit_s is None or not waiting or any(worker.has_place for worker in self._pool):
            return
        if min(worker.waited_s for worker in waiting) > limit_s:
            kinds = dict.fromkeys(worker.kind for worker in waiting)
            said = "; ".join(map(self._shortage, kinds))
            raise InfrastructureError(f"no worker found a place in {limit_s:g} s: {said}")

    def _shortage(self, kind: int) -> str:
        workers = [worker for worker in self._pool if worker.kind == kind]
        total, free = self._actors.total, self._actors.free
        return self._needs[kind].shortage(sum(map(_waits, workers)), len(workers), total, free)


def _result(worker: PoolWorker, assignment: Assignment, outcome: Outcome) -> TaskResult | None:
    """The result for the driver; None where it is not wanted any more."""
    if assignment.cancelled:
        return None
    return TaskResult(assignment.task.id, outcome, worker.where or "", assignment.attempt)


def _waits(worker: PoolWorker) -> bool:
    return not worker.has_place and worker.failed_starts < STARTS
