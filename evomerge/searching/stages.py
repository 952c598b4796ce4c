"""Candidates on their way through the stages of a schedule, from the first to the record's end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from evomerge.cluster.base import Executor, Task, TaskResult
from evomerge.errors import CandidateError, UserError
from evomerge.evaluators.base import Failure, Outcome, Report, Selection
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Fitness
from evomerge.search_spaces.base import SearchSpace
from evomerge.searching.held import HeldExamples
from evomerge.searching.schedule import (
    Estimate,
    Finished,
    Paused,
    Schedule,
    Stage,
    Stopped,
    release,
    remembers,
)
from evomerge.searching.under_test import Reports, UnderTest
from evomerge.study.candidate import Candidate, Event
from evomerge.study.examples import part_name
from evomerge.study.record import Study
from evomerge.wording import count

__all__ = ["Stages"]


DEATHS = 10
"""At a candidate whose evaluations the driver did not survive so often no other one is begun,
wherever its workers are; an executor may give it up sooner."""


@dataclass
class Stages:
    """Does with candidates what their schedule says, and records what they come to."""

    study: Study
    space: SearchSpace
    schedule: Schedule
    executor: Executor
    objective: Objective
    reports: Reports
    ended: Callable[[Candidate], None]
    """Hears of each candidate that was told, once that is on record."""
    is_draining: bool = False
    """Whether no further stage is begun: what was asked is on record, and goes on when resumed."""
    under_way: dict[str, UnderTest] = field(default_factory=dict)
    """By the id of its task."""
    interrupted: deque[UnderTest] = field(default_factory=deque)
    """What the last sitting had under way."""
    paused: dict[int, UnderTest] = field(default_factory=dict)
    """By candidate."""

    def restore(self) -> None:
        """Bring a fresh schedule to where the recorded one was, and take up what was left.

        Raises:
            RecordError: the report of a stage has gone.
        """
        if remembers(self.schedule):
            for event in self.study.events():
                self._repeat(event)
        for candidate in self.study.unfinished():
            test = self.reports.restored(candidate, len(candidate.stages))
            if candidate.state == "paused":
                self.paused[candidate.number] = test
            else:
                self.interrupted.append(test)

    def next_begun(self) -> UnderTest | None:
        """The next candidate that has begun and waits for a worker: interrupted ones first, then
        paused ones that the schedule no longer lets wait."""
        if self.interrupted:
            return self.interrupted.popleft()
        for number, test in sorted(self.paused.items()):
            if not isinstance(self.schedule.next(test.candidate, test.so_far), Paused):
                del self.paused[number]
                self.study.pause(number, False)
                return replace(test, candidate=self.study.candidate(number))
        return None

    def go_on(self, test: UnderTest) -> None:
        """Do what the schedule says, for as long as the reports of its stages are on record."""
        while True:
            match self.schedule.next(test.candidate, test.so_far):
                case Stage() as stage:
                    test = replace(test, stage=stage)
                    known = self._known(test)
                    if not isinstance(known, Report):
                        return self._submit(replace(test, held=known))
                    # Made for this candidate, if its evaluation was begun.
                    test = self._scored(test, known, "cache", test.candidate.begun)
                case Paused():
                    return self._pause(test)
                case Finished(estimate):
                    return self._finish(_counted(test), estimate)
                case Stopped() as stopped:
                    return self._stop(_counted(test), stopped)

    def release(self) -> bool:
        """Ask the schedule about those that wait, since nothing else is left to do; whether one of
        them goes on or has ended."""
        for number, test in sorted(self.paused.items()):
            decision = release(self.schedule, test.candidate, test.so_far)
            if isinstance(decision, Paused):
                continue
            del self.paused[number]
            if isinstance(decision, Stopped):
                self._stop(test, decision)
            else:
                self.study.pause(number, False)
                self.go_on(replace(test, candidate=self.study.candidate(number)))
            return True
        return False

    def receive(self, result: TaskResult) -> None:
        """Record what a stage came to; what is no longer under way is ignored."""
        test = self.under_way.get(result.id)
        if test is None:
            return
        match result.outcome:
            case Failure() as failure:
                del self.under_way[result.id]
                attempts = test.attempts + test.candidate.begun + result.attempts
                self._close(replace(test, worker=result.worker, attempts=attempts), failure)
            case Report() as report:
                _check_part(test, report)
                self._take(test, report, result)
        self._stop_what_is_beaten()

    def _take(self, test: UnderTest, report: Report, result: TaskResult) -> None:
        """Record the report of what was asked for, with what was held, and go on."""
        try:
            if test.held is not None:
                report = self.reports.of_stage(test.stage, test.held, report)
        except ValueError:  # what was held does not go with it: all of the stage is asked for
            del self.under_way[result.id]
            test = replace(test, held=None, attempts=test.attempts + result.attempts)
            return self._submit(test)
        self.reports.save(test.candidate, test.stage, report)
        del self.under_way[result.id]
        attempts = test.candidate.begun + result.attempts
        return self.go_on(self._scored(test, report, result.worker, attempts))

    def leave(self) -> None:
        """Take back on record that evaluations under way were begun: the driver itself ends them,
        and it is not their fault."""
        for test in self.under_way.values():
            self.study.begin(test.candidate.number, len(test.parts), test.candidate.begun)

    def _repeat(self, event: Event) -> None:
        """Ask the schedule again what it was asked when that happened."""
        candidate = event.candidate
        match event.kind, candidate.state:
            case "ask" | "stage", _:
                self.schedule.next(candidate, self.reports.restored(candidate, event.stages).so_far)
            case "tell", "failed":
                self.schedule.next(candidate, candidate.failure)
            case "tell", "done" if not candidate.stages:
                self.schedule.next(candidate, self.reports.of(candidate))

    def _known(self, test: UnderTest) -> Report | HeldExamples | None:
        """The report of the stage that comes next, or what of it is on record."""
        candidate, stage = test.candidate, test.stage
        known = self.reports.load(candidate, stage)
        if known is not None:
            return known
        if stage.examples is None and not set(self.objective.weights) <= set(self.reports.sizes):
            return None  # what a whole is of is known to its worker alone
        held = self.reports.held(test)
        if held is None or held.missing:
            return held
        report = self.reports.of_stage(stage, held, None)
        self.reports.save(candidate, stage, report)
        return report

    def _submit(self, test: UnderTest) -> None:
        if self.is_draining:
            return
        stage, before = test.stage, test.candidate.begun
        if before >= DEATHS:
            said = f"the driver died {before} times while it was evaluated"
            failure = Failure(cause="infrastructure", message=said, error="InfrastructureError")
            self._close(replace(test, attempts=test.attempts + before), failure)
            return
        recipe = test.recipe or self.space.recipe(test.candidate.genome)
        self.under_way[test.task] = test
        self.study.begin(test.candidate.number, len(test.parts), before + 1)
        task = Task(
            test.task,
            recipe,
            stage.split,
            test.asked,
            stage.deadline_s,
            begun=before,
            title=f"{self.study.name} candidate {test.candidate.number}",
        )
        self.executor.submit(task)

    def _scored(self, test: UnderTest, report: Report, worker: str, attempts: int) -> UnderTest:
        """The candidate with one more stage, which is recorded unless it is the whole split."""
        test = self.reports.add(test, report, worker, attempts)
        part, so_far, number = test.parts[-1], test.so_far, test.candidate.number
        if part is None or so_far is None:
            return replace(test, candidate=replace(test.candidate, begun=0))
        self.study.add_stage(
            number,
            part=part,
            split=test.stage.split,
            scored=test.scored,
            fitness=self._fitness(so_far),
            worker=worker,
            attempts=attempts,
        )
        return replace(test, candidate=self.study.candidate(number))

    def _pause(self, test: UnderTest) -> None:
        number = test.candidate.number
        self.study.pause(number)
        self.paused[number] = replace(test, candidate=self.study.candidate(number), recipe=None)

    def _finish(self, test: UnderTest, estimate: Estimate | None) -> None:
        if test.so_far is None:
            raise UserError(f"candidate {test.candidate.number}: its schedule has no stage for it")
        whole = Stage(test.so_far.split)
        if (
            test.so_far.places is None
            and len(test.parts) > 1
            and self.reports.load(test.candidate, whole) is None
        ):
            # Whoever asks for the whole split finds it, and nothing is evaluated again.
            self.reports.save(test.candidate, whole, test.so_far)
        self._close(test, test.so_far, estimate)

    def _close(self, test: UnderTest, outcome: Outcome, estimate: Estimate | None = None) -> None:
        fitness = None if estimate is None else estimate.fitness
        violations: tuple[float, ...] = ()
        if isinstance(outcome, Report):
            try:
                fitness = fitness or self.objective(outcome)
                violations = self.objective.violations(outcome)
            except CandidateError as problem:
                outcome, fitness = Failure(cause="candidate", message=str(problem)), None
        number, worker = test.candidate.number, test.worker
        self.study.tell(
            number,
            outcome,
            fitness,
            estimated=None if estimate is None or fitness is None else estimate.errors,
            worker=worker,
            attempts=test.attempts,
            violations=violations,
        )
        candidate = self.study.candidate(number)
        if candidate.failure is not None:
            self.schedule.next(candidate, candidate.failure)
        self.ended(candidate)

    def _stop(self, test: UnderTest, stopped: Stopped) -> None:
        number, worker = test.candidate.number, test.worker
        violations: tuple[float, ...] = ()
        if test.so_far is not None:
            with suppress(CandidateError):
                violations = self.objective.violations(test.so_far)
        self.study.stop(
            number,
            test.so_far,
            stopped.fitness,
            why=stopped.why,
            worker=worker,
            attempts=test.attempts,
            violations=violations,
        )
        self.ended(self.study.candidate(number))

    def _stop_what_is_beaten(self) -> None:
        """Give up candidates under way that the schedule stops by what others came to."""
        for id_, test in list(self.under_way.items()):
            match self.schedule.next(test.candidate, test.so_far):
                case Stopped() as stopped:
                    self.executor.cancel(id_)
                    del self.under_way[id_]
                    # The evaluation that is given up was begun, and counts as one.
                    self._stop(_counted(replace(test, attempts=test.attempts + 1)), stopped)
                case _:
                    continue

    def _fitness(self, so_far: Report) -> Fitness | None:
        """By a part of the examples; None where that lacks a task or a cost."""
        try:
            return self.objective(so_far)
        except CandidateError:
            return None


def _counted(test: UnderTest) -> UnderTest:
    """With the evaluations that were begun by drivers that did not survive them, and that nobody
    asks for any more."""
    return replace(test, attempts=test.attempts + test.candidate.begun)


def _check_part(test: UnderTest, report: Report) -> None:
    """Raises: UserError: the evaluator scored other examples than it was asked for."""
    asked, scored = test.asked, report.places
    if (asked and part_name(asked)) != (scored and part_name(scored)):
        raise UserError(
            f"candidate {test.candidate.number}: {_said(asked)} of the split were asked for, and"
            f" the evaluator scored {_said(scored)}; it has to keep to `examples`"
        )


def _said(examples: Selection | None) -> str:
    if examples is None:
        return "all examples"
    return count(sum(map(len, examples.values())), "example")
