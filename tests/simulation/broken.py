"""Searches that are broken on purpose: what stands between the loop and its parts, and errs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from evomerge.cluster.actors import Actors
from evomerge.cluster.base import TaskResult
from evomerge.cluster.config import RayConfig, WorkerRange
from evomerge.cluster.pool import WorkerPool
from evomerge.cluster.pool_worker import PoolWorker
from evomerge.errors import UserError
from evomerge.evaluators.base import Report
from evomerge.publish import PARTIAL
from evomerge.simulation import Doubles
from evomerge.simulation.shared import make_shared
from evomerge.study.record import Study

__all__ = ["BROKEN"]


class _Through:
    """All of a part as it is; a double overrides what it does otherwise."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)


class NoTell(_Through):
    """The third candidate's end is never written."""

    def tell(self, number: int, *args: Any, **more: Any) -> Any:
        return None if number == 3 else self.part.tell(number, *args, **more)


class NoStage(_Through):
    """No end of a stage is written."""

    def add_stage(self, number: int, **more: Any) -> None:
        pass


class LateTell(_Through):
    """An end is written with the next one, after it was told to everybody."""

    def __init__(self, part: Any) -> None:
        super().__init__(part)
        self.waiting: list[Callable[[], Any]] = []

    def tell(self, number: int, *args: Any, **more: Any) -> None:
        while self.waiting:
            self.waiting.pop()()
        self.waiting.append(lambda: self.part.tell(number, *args, **more))

    def candidate(self, number: int) -> Any:
        found = self.part.candidate(number)
        return found if found.told is not None else replace(found, told=10**6, state="done")


class OneAttemptMore(_Through):
    """Counts an attempt too many."""

    def tell(self, *args: Any, attempts: int, **more: Any) -> Any:
        return self.part.tell(*args, attempts=attempts + 1, **more)


class NoAttempts(_Through):
    """Counts none."""

    def tell(self, *args: Any, attempts: int, **more: Any) -> Any:
        return self.part.tell(*args, attempts=0, **more)


class LastFitness(_Through):
    """Records the fitness of the candidate that was told before."""

    before: Any = None

    def tell(self, number: int, outcome: Any, fitness: Any, **more: Any) -> Any:
        if isinstance(outcome, Report):
            fitness, self.before = self.before or fitness, fitness
        return self.part.tell(number, outcome, fitness, **more)


class _LateReports(_Through):
    before: str | None = None

    def save(self, digest: str, *args: Any) -> None:
        used, self.before = self.before or digest, digest
        self.part.save(used, *args)


class LastDigest(_Through):
    """Keeps a report under the digest of the candidate before."""

    def __init__(self, part: Any) -> None:
        super().__init__(part)
        self.reports = _LateReports(part.reports)


class AskedTwice(_Through):
    """Records every tenth question twice."""

    def ask(self, **more: Any) -> Any:
        number = self.part.ask(**more)
        return self.part.ask(**more) if number % 10 == 9 else number


class Forgets(_Through):
    """A search that goes on does not know what was under way."""

    def unfinished(self) -> list[Any]:
        return []


class OneShort(_Through):
    """Does not see the last candidate that it asked, so that one too many is asked."""

    def candidates(self) -> list[Any]:
        return list(self.part.candidates()[:-1])


class Swapped(_Through):
    """Hands over what two candidates scored, each with the other's id."""

    def wait(self, timeout_s: float) -> list[TaskResult]:
        results: list[TaskResult] = self.part.wait(timeout_s)
        whole = [r for r in results if isinstance(r.outcome, Report)]
        if len(whole) < 2 or whole[0].id == whole[1].id:
            return results
        first, second = whole[:2]
        return [replace(first, outcome=second.outcome), replace(second, outcome=first.outcome)]


class Loses(_Through):
    """Never performs the fifth candidate."""

    def submit(self, task: Any) -> None:
        if task.id != "4":
            self.part.submit(task)


class Sleeps(_Through):
    """Waits longer than it may."""

    def wait(self, timeout_s: float) -> list[TaskResult]:
        results: list[TaskResult] = self.part.wait(20 * timeout_s)
        return results


class LeavesTasks(_Through):
    """Performs everything once more under another name."""

    def submit(self, task: Any) -> None:
        self.part.submit(task)
        self.part.submit(replace(task, id=f"{task.id}-again"))


class ToldTwice(_Through):
    """Hears every answer twice."""

    def tell(self, results: Sequence[Any]) -> None:
        self.part.tell(results)
        self.part.tell(results)


class FailureAsZero(_Through):
    """A candidate that failed counts as one that scored nothing."""

    def tell(self, results: Sequence[Any]) -> None:
        self.part.tell([replace(r, fitness=r.fitness or (0.0,)) for r in results])


class SkipsAQuestion(_Through):
    """Begins at another question than the last time."""

    begun = 0

    def ask(self, limit: int) -> Any:
        SkipsAQuestion.begun += 1
        if SkipsAQuestion.begun % 7 == 0:
            self.part.ask(limit)
        return self.part.ask(limit)


class TimeStands(_Through):
    """Believes that no time is spent."""

    seconds_spent = 0.0


class TimeFlies(_Through):
    """Believes that twice the time is spent."""

    @property
    def seconds_spent(self) -> float:
        return 2.0 * float(self.part.seconds_spent)


class NoEndOfWaiting(WorkerPool):
    """Never says that there is no place."""

    def _check_places(self) -> None:
        pass


class NoDeadlines(WorkerPool):
    """Lets what hangs go on."""

    def _end_overdue(self, worker: PoolWorker) -> None:
        pass


class LosesTheDead(WorkerPool):
    """A worker that died is replaced, and its task is forgotten."""

    def _replace(self, worker: PoolWorker, *_: Any) -> None:
        worker.replace()


class LeavesTheDead(WorkerPool):
    """The task of a worker that died is done by others; the worker is not replaced."""

    def _replace(self, worker: PoolWorker, *_: Any) -> None:
        if assignment := worker.assignment:
            self._queue.appendleft(replace(assignment, attempt=assignment.attempt + 1))
        worker.leave()


class NoAttemptsOfWorkers(WorkerPool):
    """Does not count the deaths of workers."""

    def _replace(self, worker: PoolWorker, *_: Any) -> None:
        if assignment := worker.assignment:
            self._queue.appendleft(assignment)
        worker.replace()


class TooEarly(WorkerPool):
    """Gives tasks to workers that are still coming up."""

    def _dispatch(self) -> None:
        for worker in self._pool:
            if worker.has_place and worker.assignment is None and self._queue:
                worker.perform(self._queue.popleft())


class HandsOverWhatIsCancelled(WorkerPool):
    """Does not heed that a task is no longer wanted."""

    def cancel(self, id_: str) -> None:
        pass


class LeavesProcesses(WorkerPool):
    """Ends without its workers."""

    def close(self) -> None:
        pass


class _Immortal(_Through):
    """A process that goes on though it was ended."""

    def kill(self) -> None:
        pass


class _Immortals(_Through):
    """Gives such processes."""

    def make(self, worker: str, kind: int) -> Any:
        return _Immortal(self.part.make(worker, kind))


def _with(**changes: Any) -> Doubles:
    """A pool that reads another configuration than the job's."""

    def make(config: RayConfig, actors: Actors) -> WorkerPool:
        return WorkerPool(config.model_copy(update=changes), actors)

    return Doubles(pool=make)


def _in_place(folder: Path, **more: Any) -> Study:
    """Makes the folder first, and fills it then."""
    folder.mkdir(exist_ok=True)
    (folder / "study.json").write_text("{}")
    (folder / "study.json").unlink()
    return Study.create(folder, **more)


def _with_a_claim(folder: Path, **more: Any) -> Study:
    """Claims the name by a file, which nobody removes but itself."""
    claim = folder.with_name("claim")
    if claim.exists():
        raise UserError("another one is at it")
    claim.touch()
    try:
        return Study.create(folder, **more)
    finally:
        claim.unlink()


def _over_others(folder: Path, **more: Any) -> Study:
    """Makes the study where there is one."""
    try:
        return Study.create(folder, **more)
    except UserError:
        rmtree(folder, ignore_errors=True)
        return Study.create(folder, **more)


def _with_remains(folder: Path, **more: Any) -> Study:
    """Leaves what nobody sweeps."""
    remains = folder.with_name(f"remains{PARTIAL}")
    remains.touch()
    study = Study.create(folder, **more)
    remains.unlink()
    return study


def _not_locked(folder: Path, **more: Any) -> Study:
    """Opens a study for writing whoever writes it."""
    (folder / "writer.lock").unlink(missing_ok=True)
    return Study.open(folder, **more)


def _as_it_was(folder: Path, **more: Any) -> Study:
    """Reads the record before it has the lock."""
    journal = folder / "journal.log"
    if journal.exists():
        before = journal.read_bytes()
        Study.open(folder, write=False).close()
        journal.write_bytes(before)
    return Study.open(folder, **more)


def _waiting_for_all(folder: Path, driver: int) -> Study:
    """Believes that who has claimed a name in the database will come back."""
    claim = folder.with_name("claim")
    if claim.exists():
        raise UserError("another one is at it")
    claim.touch()
    study = make_shared(folder, driver)
    claim.unlink()
    return study


BROKEN_STARTS: Mapping[str, Doubles] = {
    "InPlace": Doubles(create=_in_place),
    "WithAClaim": Doubles(create=_with_a_claim),
    "OverOthers": Doubles(create=_over_others),
    "WithRemains": Doubles(create=_with_remains),
    "NotLocked": Doubles(open=_not_locked),
    "AsItWas": Doubles(open=_as_it_was),
    "WaitingForAll": Doubles(make_shared=_waiting_for_all),
}
"""Studies that are made or opened as they should not be."""

BROKEN_POOLS: Mapping[str, Doubles] = {
    **{
        kind.__name__: Doubles(pool=kind)
        for kind in (
            NoEndOfWaiting,
            NoDeadlines,
            LosesTheDead,
            LeavesTheDead,
            NoAttemptsOfWorkers,
            TooEarly,
            HandsOverWhatIsCancelled,
            LeavesProcesses,
        )
    },
    "EndsNothing": Doubles(pool=lambda config, actors: WorkerPool(config, _Immortals(actors))),
    "OneTryMore": _with(max_attempts=21),
    "OneTry": _with(max_attempts=1),
    "OneWorkerMore": _with(workers=WorkerRange(min=1, max=6)),
    "GivesUpEarly": _with(placement_timeout_s=2.0),
    "StartsInASecond": _with(start_timeout_s=1.5),
    "StartsForEver": _with(start_timeout_s=1e6),
    "EvaluatesInASecond": _with(candidate_timeout_s=1.0, grace_s=0.1),
    "EvaluatesForEver": _with(grace_s=1e6),
}
"""Pools of workers that err."""

BROKEN: Mapping[str, Doubles] = {
    **{
        kind.__name__: Doubles(study=kind)
        for kind in (
            NoTell,
            NoStage,
            LateTell,
            OneAttemptMore,
            NoAttempts,
            LastFitness,
            LastDigest,
            AskedTwice,
            Forgets,
            OneShort,
            TimeStands,
            TimeFlies,
        )
    },
    **{kind.__name__: Doubles(cluster=kind) for kind in (Swapped, Loses, Sleeps, LeavesTasks)},
    **{
        kind.__name__: Doubles(optimizer=kind)
        for kind in (ToldTwice, FailureAsZero, SkipsAQuestion)
    },
    **BROKEN_POOLS,
    **BROKEN_STARTS,
}
