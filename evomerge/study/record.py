"""The study: the durable record of a search, from which it resumes.

A candidate is recorded when it is asked, an evaluation before it is begun, each stage when its
report is in, and the outcome before the optimizer is told. Asks, ends of stages and tells are
numbered in one order, so that replaying them (`evomerge.study.replay`) restores the optimizer.

    ask --> running <--> paused      a paused candidate waits for its schedule
               |           |
               '-----------'-----> done, stopped or failed, for good
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from evomerge.errors import RecordError
from evomerge.evaluators.answers import Answers
from evomerge.evaluators.base import Outcome, Report, Split
from evomerge.optimizers.base import Fitness, Parentage
from evomerge.recipe.digest import digest_of_plain, plain
from evomerge.recipe.genome import Gene, Genome
from evomerge.recipe.tree import Recipe
from evomerge.study.attributes import check_attribute
from evomerge.study.candidate import (
    Candidate,
    Event,
    Proposer,
    RecordedStage,
    events,
    ranked,
)
from evomerge.study.creation import create_study
from evomerge.study.folder import StudyFolder
from evomerge.study.lock import Writer, WriterLock
from evomerge.study.parts import Parts
from evomerge.study.trial import (
    PAUSED,
    asked_trial,
    begun_attribute,
    outcome_attributes,
    stage_attribute,
    stopped_attributes,
)
from evomerge.wording import count

__all__ = ["Lend", "Study"]

Clock = Callable[[], float]
"""Seconds since whenever; it never goes back."""


Lend = Callable[[str, str, Split, str | None], Report | None]
"""Digests of recipe and evaluator, split and part -> that evaluation's report, if it is there."""


def _nobody(digest: str, evaluator: str, split: Split, part: str | None) -> None:
    return None


class Study:
    """A search on record. Made by `create` and `open`; not for use by several threads at once."""

    def __init__(
        self, folder: StudyFolder, lock: WriterLock | None, clock: Clock = time.monotonic
    ) -> None:
        self._clock, self._opened = clock, clock()
        self._parts = Parts(folder, lock)
        self._identity, self._job = self._parts.identity, self._parts.job
        self._trials, self._examples = self._parts.trials, self._parts.examples
        self._lend: Lend = _nobody
        try:
            self._next = len(self.events())
            self._spent_before = self._seconds_recorded()
        except BaseException:
            self._parts.close()
            raise

    @classmethod
    def create(
        cls,
        folder: Path | str,
        *,
        name: str,
        job: Mapping[str, Any],
        genes: Sequence[Gene],
        objectives: Sequence[str] = ("fitness",),
        storage_url: str | None = None,
        artifacts: str | None = None,
        clock: Clock = time.monotonic,
    ) -> Self:
        """A new study in a new or empty folder, open for writing.

        Args:
            job: the resolved job, as JSON-able data; a search resumes from it.
            genes: the search space's genes, in the genome's order.
            objectives: the names of the fitness's numbers, each maximised.
            storage_url: a database to record candidates in, or `env:NAME` for a variable that holds
                its URL; None for a journal in the folder. No file gets its password.
            artifacts: the URL of a folder below which the study's files are kept in one of its
                name, or `env:NAME`; beside a database only.
            clock: what `seconds_spent` is measured by.

        Raises:
            UserError: the folder holds another study or anything else, or the database cannot be
                reached or holds a study of that name. Nothing has been written then.
        """
        lock = create_study(
            Path(folder),
            name=name,
            job=job,
            genes=genes,
            objectives=objectives,
            storage_url=storage_url,
            artifacts=artifacts,
        )
        return cls._opened_by(StudyFolder(Path(folder)), lock, clock)

    @classmethod
    def open(cls, folder: Path | str, *, write: bool, clock: Clock = time.monotonic) -> Self:
        """An existing study: to go on with it (`write`), or to look at it while another writes.

        `clock`: what `seconds_spent` is measured by.

        Raises:
            UserError: there is no study, its database cannot be reached, or another process writes.
            RecordError: the record is damaged or contradicts itself.
        """
        study_folder = StudyFolder(Path(folder))
        study_folder.read_identity()
        lock = WriterLock(study_folder.lock) if write else None
        return cls._opened_by(study_folder, lock, clock)

    @classmethod
    def _opened_by(cls, study_folder: StudyFolder, lock: WriterLock | None, clock: Clock) -> Self:
        try:
            return cls(study_folder, lock, clock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def discard(self, *, keep_folder: bool = False) -> None:
        """Remove a study of which no candidate was told: as if it had never been made.

        `keep_folder`: leave the folder, empty, as it was before.

        Raises:
            RecordError: a candidate was told, so that something is on record.
        """
        self._parts.check_writing()
        if any(candidate.told is not None for candidate in self.candidates()):
            raise RecordError(f"{self.path}: holds candidates that were told, and is kept")
        self._parts.remove(keep_folder=keep_folder)

    def close(self) -> None:
        """Note the time spent and let the next writer in; once is enough."""
        try:
            if self._parts.are_writable:
                self._trials.note_seconds(self.seconds_spent)
        finally:
            self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The study's folder."""
        return self._parts.folder.path

    @property
    def name(self) -> str:
        """The study's name."""
        return self._identity.name

    @property
    def job(self) -> Mapping[str, Any]:
        """The resolved job, as given to `create`."""
        return self._job

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes of the search space."""
        return self._identity.genes

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of the fitness's numbers, each maximised."""
        return self._identity.objectives

    @property
    def writer(self) -> Writer:
        """Who searches in this study at the moment, or did last."""
        return self._parts.writer

    @property
    def seconds_spent(self) -> float:
        """Wall time of searching over all sittings.

        The clock runs while a writer is open. Where a writer was killed, its time counts up to its
        last ask or tell.
        """
        if not self._parts.are_writable:
            return self._seconds_recorded()
        return self._spent_before + self._clock() - self._opened

    def ask(
        self,
        *,
        proposed_by: Proposer,
        genome: Genome,
        recipe: Recipe,
        label: str | None = None,
        proposal: int | None = None,
        parentage: Parentage | None = None,
    ) -> int:
        """Record a candidate before it is submitted; its number.

        Args:
            proposal: the optimizer's id of it; for one that the optimizer proposed, and only then.
            parentage: whence the proposal came, where the optimizer says so.

        Raises:
            ValueError: the genome does not fit the genes, or a proposal is missing or too much.
        """
        self._parts.check_writing()
        if (proposal is None) == (proposed_by == "optimizer"):
            raise ValueError(
                f"a candidate of the {proposed_by} and proposal {proposal} do not go together"
            )
        data = plain(recipe)
        trial = asked_trial(
            self.genes,
            genome,
            proposed_by=proposed_by,
            label=label,
            proposal=proposal,
            recipe=data,
            digest=digest_of_plain(data),
            asked=self._next,
            asked_s=self.seconds_spent,
            parentage=parentage,
        )
        number = self._trials.add(trial)
        self._next += 1
        return number

    def begin(self, number: int, stage: int, times: int) -> None:
        """Record how often the evaluation of a candidate's stage was begun, this time included:
        before it is begun, so that whatever happens then, it is known to have been.

        Raises:
            RecordError: no such candidate, or it was told already.
        """
        self._parts.check_writing()
        self._trials.set(number, *begun_attribute(stage, times))

    def add_stage(
        self,
        number: int,
        *,
        part: str,
        split: Split,
        scored: int,
        fitness: Fitness | None,
        worker: str,
        attempts: int = 1,
    ) -> None:
        """Record the end of a stage; its report is saved before.

        Args:
            part, split: the part's name and its split, as the report was saved by.
            scored: examples scored so far, all stages together (at least 1).
            fitness: by those examples, where they say one; its first number becomes the trial's
                intermediate value at the step `scored`.

        Raises:
            RecordError: no such candidate, or it was told already.
        """
        self._parts.check_writing()
        stage = RecordedStage(
            part=part,
            split=split,
            scored=scored,
            worker=worker,
            attempts=attempts,
            ended=self._next,
            ended_s=self.seconds_spent,
        )
        before = len(self._trials.candidate(number).stages)
        value = None if fitness is None else (scored, fitness[0])
        self._trials.set_stage(number, *stage_attribute(before, stage), value)
        self._next += 1

    def pause(self, number: int, paused: bool = True) -> None:
        """Record that a candidate waits for its schedule, or that it no longer does.

        Raises:
            RecordError: no such candidate, or it was told already.
        """
        self._parts.check_writing()
        self._trials.set(number, PAUSED, paused)

    def tell(
        self,
        number: int,
        outcome: Outcome,
        fitness: Fitness | None,
        *,
        estimated: Fitness | None = None,
        worker: str,
        attempts: int = 1,
        violations: Sequence[float] = (),
    ) -> int:
        """Record what became of a candidate; the number of this tell among all asks and tells.

        Closing the trial is the last write, and the one that counts: a candidate whose writer dies
        before it is unfinished.

        Args:
            fitness: for a report, and only then; finite, one number an objective.
            estimated: the standard errors of a fitness that was estimated from a part of the
                examples, one number an objective; None: it was not.
            violations: by how much each constraint is missed, where there are some.

        Raises:
            RecordError: no such candidate, or it was told already.
            ValueError: the fitness does not go with the outcome or the objectives.
        """
        self._check_fitness(outcome, fitness)
        if estimated is not None:
            self._check_numbers(estimated)
        self._parts.check_writing()
        attributes = outcome_attributes(
            outcome,
            estimated,
            told=self._next,
            told_s=self.seconds_spent,
            worker=worker,
            attempts=attempts,
            violations=violations,
        )
        return self._close(number, attributes, "FAIL" if fitness is None else "COMPLETE", fitness)

    def stop(
        self,
        number: int,
        so_far: Report | None,
        fitness: Fitness | None = None,
        *,
        why: str | None = None,
        worker: str,
        attempts: int = 1,
    ) -> int:
        """Record that a candidate was given up, as `tell` records an end.

        Args:
            so_far: the report of its stages; None where there were none.
            fitness: what the optimizer is told of it; None: that it failed. It is kept apart from
                the fitness of candidates that came to their end.
            why: in a sentence; None where the schedule says nothing.

        Raises:
            RecordError: no such candidate, or it was told already.
            ValueError: the fitness does not go with the objectives.
        """
        if fitness is not None:
            self._check_numbers(fitness)
        self._parts.check_writing()
        attributes = stopped_attributes(
            so_far,
            fitness,
            why,
            told=self._next,
            told_s=self.seconds_spent,
            worker=worker,
            attempts=attempts,
        )
        return self._close(number, attributes, "PRUNED", fitness)

    def candidates(self) -> list[Candidate]:
        """All candidates, by number.

        Raises:
            RecordError: something other than evomerge added or closed one.
        """
        return self._trials.candidates()

    def candidate(self, number: int) -> Candidate:
        """One candidate.

        Raises:
            RecordError: there is none of that number, or something other than evomerge made it.
        """
        return self._trials.candidate(number)

    def unfinished(self) -> list[Candidate]:
        """The candidates that were asked and not told, paused ones among them, by number."""
        return [candidate for candidate in self.candidates() if candidate.told is None]

    def events(self) -> list[Event]:
        """All asks, stages and tells, in the order in which they were recorded."""
        return events(self.candidates())

    def best(self, limit: int = 1) -> list[Candidate]:
        """At most `limit` candidates, best fitness first, whoever proposed them."""
        return ranked(self.candidates(), limit)

    def put(self, key: str, value: Any) -> None:
        """Keep JSON-able data about the whole study; what was kept under `key` is replaced."""
        self._parts.check_writing()
        self._trials.put(key, value)

    def get(self, key: str) -> Any:
        """What was kept under `key`; None where nothing was.

        Raises:
            RecordError: it is damaged.
        """
        value = self._trials.get(key)
        check_attribute(self.path, key, value)
        return value

    def put_notes(self, about_study: str, about_candidates: Mapping[int, str]) -> None:
        """Keep notes in Markdown for optuna-dashboard; those that somebody edited there stay.

        No search reads them. `about_candidates`: candidate number -> its note.
        """
        self._parts.check_writing()
        self._trials.put_notes(about_study, about_candidates)

    def save_report(
        self, digest: str, evaluator_digest: str, report: Report, part: str | None = None
    ) -> None:
        """Keep per-example scores; to be called before the stage is added or the candidate told.

        `part`: the name of the examples that the report is about (`examples.part_name`); None: all
        of the split.
        """
        self._parts.check_writing()
        self._examples.save(digest, evaluator_digest, report, part)

    def load_report(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Report | None:
        """The report of a finished evaluation, whichever candidate it was made for; one that is
        borrowed is kept here from then on."""
        known = self._examples.load(digest, evaluator_digest, split, part)
        if known is None and (lent := self._lend(digest, evaluator_digest, split, part)):
            self.save_report(digest, evaluator_digest, lent, part)
            return lent
        return known

    def borrow(self, lend: Lend) -> None:
        """Take reports that this study has not from elsewhere, while it is open for writing."""
        self._parts.check_writing()
        self._lend = lend

    def load_answers(
        self, digest: str, evaluator_digest: str, split: Split, part: str | None = None
    ) -> Answers | None:
        """What a model answered in an evaluation; None where it is not kept."""
        return self._examples.load_answers(digest, evaluator_digest, split, part)

    def fetch(self, *, answers: bool = False) -> None:
        """Bring here what of the study lies only elsewhere: the scores of examples, and `answers`.

        Raises:
            InfrastructureError: it cannot be read there, or the disk refuses.
        """
        self._examples.fetch(answers=answers)

    def _check_fitness(self, outcome: Outcome, fitness: Fitness | None) -> None:
        if (fitness is not None) != isinstance(outcome, Report):
            raise ValueError(f"a {type(outcome).__name__} cannot have the fitness {fitness}")
        if fitness is not None:
            self._check_numbers(fitness)

    def _check_numbers(self, fitness: Fitness) -> None:
        if len(fitness) != len(self.objectives) or not all(map(math.isfinite, fitness)):
            raise ValueError(
                f"the fitness must be {count(len(self.objectives), 'finite number')}, got {fitness}"
            )

    def _close(
        self,
        number: int,
        attributes: Mapping[str, Any],
        state: Literal["COMPLETE", "PRUNED", "FAIL"],
        values: Fitness | None,
    ) -> int:
        told = self._next
        self._trials.close(number, attributes, state, values)
        self._next += 1
        return told

    def _seconds_recorded(self) -> float:
        marks = [self._trials.seconds_noted]
        for candidate in self.candidates():
            marks += [candidate.asked_s, candidate.told_s or 0.0]
            marks += [stage.ended_s for stage in candidate.stages]
        return max(marks)
