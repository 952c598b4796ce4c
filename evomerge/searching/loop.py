"""The search loop.

    optimizer.ask -> genome --space--> recipe --schedule--> stage --executor--> report
         ^                                                                        |
         '------- tell <-------- study (recorded first) <------- objective <------'

Warm starts are tried before the optimizer is asked, and told to it in a fixed order; from then on
every free worker gets the next stage of a candidate, and whatever arrives is recorded and told at
once. What a crash interrupted is submitted again; what it did not is read from the record.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from signal import SIGINT

from evomerge.cluster.base import Executor
from evomerge.config import Budget, WholeConfig
from evomerge.errors import UserError
from evomerge.evaluators.objective import Objective
from evomerge.interruption import check, deferred, heeded
from evomerge.optimizers.base import (
    Optimizer,
    Proposal,
    Result,
)
from evomerge.recipe.genome import Genome
from evomerge.search_spaces.base import SearchSpace
from evomerge.searching.ending import ENDED, STALE, Ending, find_ending
from evomerge.searching.failures import FailureRow, Halt, last_halt
from evomerge.searching.hearing import Hearing
from evomerge.searching.progress import Progress
from evomerge.searching.schedule import Schedule, Whole, again
from evomerge.searching.stages import Stages
from evomerge.searching.tally import Tally
from evomerge.searching.under_test import Reports, UnderTest
from evomerge.study.candidate import Candidate, landmarks
from evomerge.study.record import Study
from evomerge.study.replay import restore

__all__ = ["Search"]

POLL_S = 0.5
"""How long a wait lasts before the progress is told again."""

TRIES = 3
"""In so many sittings a warm start is tried that fails because of its surroundings."""


class Search:
    """One sitting of a search: restores what is on record and goes on to the budget's end."""

    def __init__(
        self,
        study: Study,
        space: SearchSpace,
        optimizer: Optimizer,
        executor: Executor,
        objective: Objective,
        *,
        evaluator: str,
        budget: Budget,
        landmarks: Mapping[str, Genome],
        schedule: Schedule | None = None,
        sizes: Mapping[str, int] | None = None,
        tell: Callable[[Progress], None] = lambda progress: None,
        told: Callable[[Candidate], None] = lambda candidate: None,
        stop: Callable[[], str | None] = lambda: None,
        stale_after: int = STALE,
    ) -> None:
        """Restore the optimizer and the schedule from the record.

        Args:
            evaluator: the evaluator's digest.
            landmarks: label -> genome, tried first.
            schedule: how much of a candidate is evaluated, and when; None: the whole, at once.
            sizes: task -> examples of the search split, as far as they are known.
            tell: hears at least every half second where the search stands.
            told: hears of each candidate that came to its end, once that is on record.
            stop: why the search should end before its budget; None while it should not.
            stale_after: so many candidates in a row that had been scored before end the search.

        Raises:
            RecordError: the record contradicts itself, or the optimizer asks something else.
        """
        self._study, self._space, self._optimizer = study, space, optimizer
        self._executor = executor
        self._budget, self._stale_after = budget, stale_after
        self._tell, self._told, self._stop = tell, told, stop
        # What a listener said holds for good; the rest follows from the budget and the record.
        before = study.get(ENDED)
        self._ended = Ending.model_validate(before) if before else None
        if self._ended and self._ended.by != "listener":
            self._ended = None
        reports = Reports(study, evaluator, sizes or {})
        self._hearing = Hearing(optimizer, objective, reports)
        restore(optimizer, study.candidates(), self._hearing.observation)
        schedule = schedule or Whole(WholeConfig(), sizes=reports.sizes, seed=0)
        self._stages = Stages(study, space, schedule, executor, objective, reports, self._hear)
        self._stages.restore()
        asked = study.candidates()
        self._observed = any(candidate.proposed_by == "optimizer" for candidate in asked)
        halted = last_halt(study)
        self._failures = FailureRow(asked, since=-1 if halted is None else halted.told)
        # What stopped the search is mended now, and so may be what was around the others.
        halted_by = halted.candidates if halted is not None else ()
        marks = [candidate for candidate in asked if candidate.proposed_by == "landmark"]
        tries = Counter(candidate.label for candidate in marks)
        anew = {
            candidate.number
            for candidate in marks
            if not self._observed  # an optimizer that was asked takes no warm starts
            and (
                candidate.number in halted_by
                or (_is_of_the_surroundings(candidate) and tries[candidate.label] < TRIES)
            )
        }
        known = {candidate.label for candidate in marks if candidate.number not in anew}
        # An earlier version may have called a landmark by another name: it counts by its genome.
        renamed = {c.genome for c in asked if c.label in known and c.label not in landmarks}
        self._landmarks = deque(
            (label, genome)
            for label, genome in landmarks.items()
            if label not in known and genome not in renamed
        )
        counting = [candidate for candidate in asked if candidate.number not in anew]
        self._tally = Tally(counting, target=budget.target)
        self._halt: Halt | None = None
        self._asking_s = 0.0

    def run(self) -> None:
        """Search until the budget is spent and every candidate under way has come back; why it is
        over is on record then.

        Interrupted by Ctrl-C it asks nothing more, records what is still under way and passes the
        interruption on. Interrupted again it leaves that to the next sitting. No write is cut off
        by the first: it waits until the executor waits.

        Candidates that fail for one reason stop it too, at the third in a row; see `failures`.

        Raises:
            UserError: the optimizer refuses a fitness or scores, or schedule or evaluator break a
                law, or candidates failed for one reason that is theirs or the job's.
            InfrastructureError: no worker can be had, or workers failed for one reason.
        """
        with heeded((SIGINT,)), deferred():
            try:
                self._search_or_drain()
            except BaseException:
                with suppress(Exception):  # what ends the search is what has to be said
                    self._stages.leave()
                raise

    def _search_or_drain(self) -> None:
        try:
            self._search()
        except KeyboardInterrupt:
            self._drain()
            raise

    def _search(self) -> None:
        while True:
            check()
            while self._executor.free and not self._halt and (test := self._next()):
                self._stages.go_on(test)
            self._tell(self.progress())
            if self._halt:
                return self._give_up(self._halt)
            if not self._stages.under_way and self._executor.free:
                if not self._halt and self._stages.release():
                    continue
                return self._check_end()  # a worker is free and there is nothing left to do
            for result in self._executor.wait(POLL_S):
                self._stages.receive(result)

    def _drain(self) -> None:
        self._stages.is_draining = True
        self._executor.drain()
        while self._stages.under_way:
            self._tell(self.progress())
            results = self._executor.wait(POLL_S)
            for result in results:
                self._stages.receive(result)
            if not results and not any(worker.task for worker in self._executor.workers()):
                return  # the interruption hit a task: it is asked again when the search goes on

    def _next(self) -> UnderTest | None:
        """The candidate that comes next, on record; None if there is none now."""
        if begun := self._stages.next_begun():
            return begun
        if ending := self._ending():
            return None if ending.by == "listener" else self._ask_again()
        if self._landmarks:
            label, genome = self._landmarks.popleft()
            return self._ask(genome, label=label)
        if not self._observed and not self._observe():
            return None
        began = time.perf_counter()
        proposals = self._optimizer.ask(1)
        self._asking_s += time.perf_counter() - began
        for proposal in proposals:
            return self._ask(proposal.genome, proposal=proposal)
        return self._ask_again()

    def _observe(self) -> bool:
        """Tell the optimizer the landmarks in their order, once all are back."""
        if self._stages.under_way or self._stages.paused:
            return False
        for candidate in landmarks(self._study.candidates()):
            if observation := self._hearing.observation(candidate):
                with _refusal_named(candidate):
                    self._optimizer.observe(observation)
        self._observed = True
        return True

    def _ask_again(self) -> UnderTest | None:
        """A finalist, once all others have ended: one whose fitness was estimated, and who may be
        the best."""
        waited_for = [*self._stages.under_way.values(), *self._stages.paused.values()]
        if any(test.candidate.proposed_by != "finalist" for test in waited_for):
            return None
        before = again(self._stages.schedule)
        if before is None:
            return None
        recipe = self._space.recipe(before.genome)
        number = self._study.ask(
            proposed_by="finalist",
            genome=before.genome,
            recipe=recipe,
            label=f"candidate {before.number} again",
        )
        return UnderTest(self._study.candidate(number), recipe=recipe)

    def _ask(
        self, genome: Genome, *, label: str | None = None, proposal: Proposal | None = None
    ) -> UnderTest:
        recipe = self._space.recipe(genome)
        number = self._study.ask(
            proposed_by="landmark" if proposal is None else "optimizer",
            genome=genome,
            recipe=recipe,
            label=label,
            proposal=None if proposal is None else proposal.id,
            parentage=None if proposal is None else proposal.parentage,
        )
        candidate = self._study.candidate(number)
        self._tally.ask(candidate)
        return UnderTest(candidate, recipe=recipe)

    def _hear(self, candidate: Candidate) -> None:
        """Tell the optimizer of a candidate that has ended, and look whether others may follow."""
        if candidate.proposed_by == "finalist":
            self._tally.end_again(candidate)
        else:
            self._tally.end(candidate)
        self._failures.end(candidate)
        if candidate.proposal is not None:
            with _refusal_named(candidate):
                observation = self._hearing.observation(candidate)
                self._optimizer.tell([Result.of(candidate.proposal, observation)])
        self._halt = self._failures.halt()
        self._told(candidate)

    def _give_up(self, halt: Halt) -> None:
        """Raises: EvomergeError: what the search ends with; the record says it too."""
        halt.record(self._study)
        raise halt.error(self._study)

    def _ending(self) -> Ending | None:
        """Why nothing more is asked; None while something may be."""
        if self._ended is None and (reason := self._stop()) is not None:
            self._end(Ending(by="listener", said=reason))
        return self._ended or find_ending(
            self._budget, self._tally, self._study.seconds_spent, stale_after=self._stale_after
        )

    def _end(self, ending: Ending) -> None:
        self._ended = ending
        self._study.put(ENDED, ending.model_dump())

    def _check_end(self) -> None:
        """Record why the search is over.

        Raises:
            UserError: it cannot go on, though its budget is not spent; or none of fewer than three
                candidates could be scored.
            InfrastructureError: none could be scored, and the workers are at fault.
        """
        ending = self._ending()
        if self._stages.paused and not ending:
            raise UserError(
                f"the schedule lets {len(self._stages.paused)} candidates wait, and nothing is left"
                " to do before them; a schedule may pause a candidate only while another one is"
                " under way or can still be asked"
            )
        halt = self._failures.halt(in_a_row=1)
        if halt and not self._failures.was_scored:
            self._give_up(halt)
        if self._ended is None:
            nothing = Ending(by="optimizer", said="the optimizer asks for nothing more")
            self._end(ending or nothing)

    def progress(self) -> Progress:
        """Where the search stands now."""
        return Progress.of(
            self._tally,
            self._budget,
            running=len(self._stages.under_way),
            paused=len(self._stages.paused),
            seconds=self._study.seconds_spent,
            objectives=self._study.objectives,
            draining=self._stages.is_draining,
            asking_s=self._asking_s,
        )


def _is_of_the_surroundings(candidate: Candidate) -> bool:
    return candidate.failure is not None and candidate.failure.cause == "infrastructure"


@contextmanager
def _refusal_named(candidate: Candidate) -> Iterator[None]:
    """What an optimizer refuses is what the evaluator or the objective says: the user's choice."""
    try:
        yield
    except ValueError as problem:
        raise UserError(f"candidate {candidate.number}: {problem}") from problem
