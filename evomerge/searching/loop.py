"""The search loop.

    optimizer.ask -> genome --space--> recipe --executor--> report --objective--> fitness
         ^                                                                          |
         '----------------- tell <----------- study (recorded first) <--------------'

Warm starts are tried before the optimizer is asked, and told to it in a fixed order; from then on
every free worker gets the next question, and whatever arrives is recorded and told at once. What a
crash interrupted is submitted again; what it did not is read from the record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from evomerge.cluster.base import Executor, Task
from evomerge.config import Budget
from evomerge.errors import CandidateError, RecordError, UserError
from evomerge.evaluators.base import Failure, Outcome, Report
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import (
    Fitness,
    Observation,
    Optimizer,
    Proposal,
    Result,
    needs_examples,
)
from evomerge.recipe.genome import Genome
from evomerge.search_spaces.base import SearchSpace
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.replay import by_fitness, restore

__all__ = ["Progress", "Search"]

POLL_S = 0.5
"""How long a wait lasts before the progress is told again."""

STALE = 500
"""So many candidates in a row that had all been scored before: the optimizer has nothing new."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands."""

    total: int | None
    """Candidates in the budget; None where it has seconds only."""
    limit_s: float | None
    """Seconds in the budget, over all sittings."""
    evaluations: int | None
    """Evaluations in the budget."""
    done: int
    evaluated: int
    """Of those done, the ones whose recipe had not been scored before."""
    failed: int
    running: int
    seconds: float
    best: Candidate | None


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
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """`evaluator`: the evaluator's digest; `landmarks`: label -> genome, tried first."""
        self._study, self._space, self._optimizer = study, space, optimizer
        self._executor, self._objective = executor, objective
        self._evaluator, self._budget, self._tell = evaluator, budget, tell
        restore(optimizer, study.candidates(), self._observation)
        self._candidates = {one.number: one for one in study.candidates()}
        self._waiting = deque(study.unfinished())
        known = {one.label for one in self._candidates.values() if one.origin == "landmark"}
        self._landmarks = deque((k, g) for k, g in landmarks.items() if k not in known)
        self._observed = any(one.origin == "optimizer" for one in self._candidates.values())
        self._running: dict[str, Candidate] = {}

    def run(self) -> None:
        """Search until the budget is spent and every candidate under way has come back."""
        while True:
            while self._executor.free and (candidate := self._next()):
                self._submit(candidate)
            self._tell(self.progress())
            if not self._running and self._executor.free:
                return  # a worker is free and there is nothing left to do
            for done in self._executor.wait(POLL_S):
                candidate = self._running.pop(done.id)
                if isinstance(done.outcome, Report):
                    self._study.save_report(candidate.digest, self._evaluator, done.outcome)
                self._finish(candidate, done.outcome, done.worker, done.attempts)

    def progress(self) -> Progress:
        """Where the search stands now."""
        finished = [one for one in self._candidates.values() if one.state != "running"]
        return Progress(
            total=self._budget.candidates,
            limit_s=self._budget.seconds,
            evaluations=self._budget.evaluations,
            done=len(finished),
            evaluated=sum(one.attempts > 0 for one in finished),
            failed=sum(one.state == "failed" for one in finished),
            running=len(self._running),
            seconds=self._study.seconds_spent,
            best=next(iter(self._study.best(1)), None),
        )

    def _next(self) -> Candidate | None:
        """The next candidate to submit, on record; None if there is none now."""
        if self._waiting:
            return self._waiting.popleft()
        if self._spent():
            return None
        if self._landmarks:
            label, genome = self._landmarks.popleft()
            return self._ask(genome, label=label)
        if not self._observed and not self._observe():
            return None
        for proposal in self._optimizer.ask(1):
            return self._ask(proposal.genome, proposal=proposal)
        return None

    def _spent(self) -> bool:
        limits = self._budget
        return (
            (limits.candidates is not None and len(self._candidates) >= limits.candidates)
            or (limits.evaluations is not None and self._evaluations() >= limits.evaluations)
            or (limits.seconds is not None and self._study.seconds_spent >= limits.seconds)
            or self._is_stale()
        )

    def _evaluations(self) -> int:
        """Candidates that are or were evaluated."""
        return sum(map(_is_evaluated, self._candidates.values()))

    def _is_stale(self) -> bool:
        last = [self._candidates[number] for number in sorted(self._candidates)[-STALE:]]
        return len(last) == STALE and not any(map(_is_evaluated, last))

    def _observe(self) -> bool:
        """Tell the optimizer the landmarks, in the order of their numbers, once all are back."""
        if self._running:
            return False
        for one in self._candidates.values():
            if one.origin == "landmark" and one.fitness is not None:
                with _refusal_named(one):
                    if observation := self._observation(one):
                        self._optimizer.observe(observation)
        self._observed = True
        return True

    def _ask(
        self, genome: Genome, *, label: str | None = None, proposal: Proposal | None = None
    ) -> Candidate:
        number = self._study.ask(
            origin="landmark" if proposal is None else "optimizer",
            genome=genome,
            recipe=self._space.recipe(genome),
            label=label,
            proposal=None if proposal is None else proposal.id,
            parentage=None if proposal is None else proposal.parentage,
        )
        return self._remember(number)

    def _submit(self, candidate: Candidate) -> None:
        """Send a candidate out, unless its recipe has been scored before."""
        if known := self._study.load_report(candidate.digest, self._evaluator, "search"):
            self._finish(candidate, known, "cache", 0)
            return
        task = Task(str(candidate.number), self._space.recipe(candidate.genome), "search")
        self._running[task.id] = candidate
        self._executor.submit(task)

    def _finish(self, candidate: Candidate, outcome: Outcome, worker: str, attempts: int) -> None:
        """Record the outcome, then tell the optimizer."""
        fitness: Fitness | None = None
        if isinstance(outcome, Report):
            try:
                fitness = self._objective(outcome)
            except CandidateError as problem:
                outcome = Failure(cause="candidate", message=str(problem))
        self._study.tell(candidate.number, outcome, fitness, worker=worker, attempts=attempts)
        candidate = self._remember(candidate.number)
        if candidate.proposal is not None:
            with _refusal_named(candidate):
                result = Result.of(candidate.proposal, self._observation(candidate))
                self._optimizer.tell([result])

    def _observation(self, candidate: Candidate) -> Observation | None:
        """What the optimizer hears of a candidate: with the scores on record if it needs them."""
        if candidate.fitness is None or not needs_examples(self._optimizer):
            return by_fitness(candidate)
        report = self._study.load_report(candidate.digest, self._evaluator, "search")
        if report is None:
            raise RecordError(
                f"candidate {candidate.number}: its scores are no longer in"
                f" {self._study.path / 'examples'}, and this optimizer goes by them; put the files"
                " back or begin anew"
            )
        scores = self._objective.scores(report)
        return Observation(candidate.genome, candidate.fitness, *scores)

    def _remember(self, number: int) -> Candidate:
        self._candidates[number] = self._study.candidates()[number]
        return self._candidates[number]


def _is_evaluated(candidate: Candidate) -> bool:
    """Is or was: what had been scored before takes no attempt."""
    return candidate.attempts > 0 or candidate.state == "running"


@contextmanager
def _refusal_named(candidate: Candidate) -> Iterator[None]:
    """What an optimizer refuses is what the evaluator or the objective says: the user's choice."""
    try:
        yield
    except ValueError as problem:
        raise UserError(f"candidate {candidate.number}: {problem}") from problem
