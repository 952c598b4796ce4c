"""The study: the durable record of a search, from which it resumes.

A candidate is recorded when it is asked, before it is submitted, and its outcome before the
optimizer is told. Each ask and each tell has its place in one order, so that replaying them
(`evomerge.study.replay`) restores the optimizer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evomerge.errors import RecordError
from evomerge.evaluators.base import Outcome, Report, Split
from evomerge.optimizers.base import Fitness, Parentage
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.genome import Gene, Genome
from evomerge.recipe.tree import Recipe
from evomerge.study.candidate import Candidate, Event, Origin, events, ranked
from evomerge.study.examples import Examples
from evomerge.study.folder import Identity, StudyFolder
from evomerge.study.lock import WriterLock
from evomerge.study.storage import create_trials, open_trials, repair_journal
from evomerge.study.trial import asked_trial, closed_state, outcome_attributes, to_candidate

__all__ = ["Study"]

_CLOCK = "evomerge:seconds_spent"


class Study:
    """A search on record. Made by `create` and `open`; not for use by several threads at once."""

    def __init__(self, folder: StudyFolder, lock: WriterLock | None) -> None:
        self._folder = folder
        self._lock = lock
        self._opened = time.monotonic()
        self._identity = folder.read_identity()
        self._job = folder.read_job()
        self._examples = Examples(folder.examples)
        if lock is not None:
            folder.sweep()
            if self._identity.storage is None:
                repair_journal(folder.journal)
        self._storage, self._id = open_trials(self._identity, folder.journal)
        self._closed: dict[int, Candidate] = {}
        self._next = len(self.events())
        self._spent_before = self._seconds_recorded()

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
    ) -> Study:
        """A new study in a new or empty folder, open for writing.

        Args:
            job: the resolved job, as JSON-able data; a search resumes from it.
            genes: the search space's genes, in the genome's order.
            objectives: the names of the fitness's numbers, each maximised.
            storage_url: a database to record candidates in; None for a journal in the folder.

        Raises:
            UserError: the folder holds another study or anything else, or the database cannot be
                reached or holds a study of that name. Nothing has been written then.
        """
        identity = Identity(
            name=name, storage=storage_url, objectives=tuple(objectives), genes=tuple(genes)
        )
        place = StudyFolder(Path(folder))
        place.create(identity, job, lambda new: create_trials(identity, new.journal))
        return cls.open(folder, write=True)

    @classmethod
    def open(cls, folder: Path | str, *, write: bool) -> Study:
        """An existing study: to go on with it (`write`), or to look at it while another writes.

        Raises:
            UserError: there is no study, its database cannot be reached, or another process writes.
            RecordError: the record is damaged or contradicts itself.
        """
        place = StudyFolder(Path(folder))
        place.read_identity()
        lock = WriterLock(place.lock) if write else None
        try:
            return cls(place, lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def close(self) -> None:
        """Note the time spent and let the next writer in; once is enough."""
        try:
            if self._lock is not None:
                spent = self.seconds_spent
                self._storage.set_study_system_attr(self._id, _CLOCK, round(spent, 3))
        finally:
            self._storage.remove_session()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

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
        return self._folder.path

    @property
    def name(self) -> str:
        return self._identity.name

    @property
    def job(self) -> Mapping[str, Any]:
        """The resolved job, as given to `create`."""
        return self._job

    @property
    def genes(self) -> tuple[Gene, ...]:
        return self._identity.genes

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of the fitness's numbers, each maximised."""
        return self._identity.objectives

    @property
    def seconds_spent(self) -> float:
        """Wall time of searching over all sittings.

        The clock runs while a writer is open. Where a writer was killed, its time counts up to its
        last ask or tell.
        """
        if self._lock is None:
            return self._seconds_recorded()
        return self._spent_before + time.monotonic() - self._opened

    def ask(
        self,
        *,
        origin: Origin,
        genome: Genome,
        recipe: Recipe,
        label: str | None = None,
        proposal: int | None = None,
        parentage: Parentage | None = None,
    ) -> int:
        """Record a candidate before it is submitted; its number.

        Args:
            question: the optimizer's id of its question; for the origin `optimizer`, and only then.
            descent: whence the question came, where the optimizer says so.

        Raises:
            ValueError: the genome does not fit the genes, or a question is missing or too much.
        """
        self._check_writing()
        if (proposal is None) == (origin == "optimizer"):
            raise ValueError(f"origin {origin!r} and question {proposal} do not go together")
        trial = asked_trial(
            self.genes,
            genome,
            origin=origin,
            label=label,
            proposal=proposal,
            recipe=plain(recipe),
            digest=digest(recipe),
            asked=self._next,
            asked_s=self.seconds_spent,
            parentage=parentage,
        )
        trial_id = self._storage.create_new_trial(self._id, template_trial=trial)
        self._next += 1
        return self._storage.get_trial(trial_id).number

    def tell(
        self,
        number: int,
        outcome: Outcome,
        fitness: Fitness | None,
        *,
        worker: str,
        attempts: int = 1,
    ) -> int:
        """Record what became of a candidate; the place of this tell among all asks and tells.

        Closing the trial is the last write, and the one that counts: a candidate whose writer dies
        before it is unfinished.

        Args:
            fitness: for a report, and only then; finite, one number an objective.

        Raises:
            RecordError: no such candidate, or it was told already.
            ValueError: the fitness does not go with the outcome or the objectives.
        """
        self._check_writing()
        self._check_fitness(outcome, fitness)
        try:
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        except KeyError:
            raise RecordError(f"candidate {number} was never asked") from None
        if self._storage.get_trial(trial_id).state.is_finished():
            raise RecordError(f"candidate {number} was told already")
        told = self._next
        attributes = outcome_attributes(
            outcome, told=told, told_s=self.seconds_spent, worker=worker, attempts=attempts
        )
        for key, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, key, value)
        self._storage.set_trial_state_values(trial_id, closed_state(fitness), fitness)
        self._next += 1
        return told

    def candidates(self) -> list[Candidate]:
        """All candidates, by number.

        Raises:
            RecordError: something other than evomerge added or closed one.
        """
        found = []
        for trial in self._storage.get_all_trials(self._id, deepcopy=False):
            candidate = self._closed.get(trial.number) or to_candidate(self.genes, trial)
            if candidate.state != "running":
                self._closed[trial.number] = candidate
            found.append(candidate)
        return found

    def unfinished(self) -> list[Candidate]:
        """The candidates that were asked and not told, by number."""
        return [candidate for candidate in self.candidates() if candidate.state == "running"]

    def events(self) -> list[Event]:
        """All asks and tells, in the order in which they were recorded."""
        return events(self.candidates())

    def best(self, limit: int = 1) -> list[Candidate]:
        """At most `limit` candidates, best fitness first, whatever their origin."""
        return ranked(self.candidates(), limit)

    def put(self, key: str, value: Any) -> None:
        """Keep JSON-able data about the whole study; what was kept under `key` is replaced."""
        self._check_writing()
        self._storage.set_study_user_attr(self._id, key, value)

    def get(self, key: str) -> Any:
        """What was kept under `key`; None where nothing was."""
        return self._storage.get_study_user_attrs(self._id).get(key)

    def save_report(self, digest: str, evaluator_digest: str, report: Report) -> None:
        """Keep per-example scores; to be called before the candidate is told."""
        self._check_writing()
        self._examples.save(digest, evaluator_digest, report)

    def load_report(self, digest: str, evaluator_digest: str, split: Split) -> Report | None:
        """The report of a finished evaluation, whichever candidate it was made for."""
        return self._examples.load(digest, evaluator_digest, split)

    def _check_writing(self) -> None:
        if self._lock is None:
            raise RecordError(f"{self.path}: the study is not open for writing")

    def _check_fitness(self, outcome: Outcome, fitness: Fitness | None) -> None:
        if (fitness is not None) != isinstance(outcome, Report):
            raise ValueError(f"a {type(outcome).__name__} cannot have the fitness {fitness}")
        if fitness is not None and (
            len(fitness) != len(self.objectives) or not all(map(math.isfinite, fitness))
        ):
            raise ValueError(
                f"the fitness must be {len(self.objectives)} finite number(s), got {fitness}"
            )

    def _seconds_recorded(self) -> float:
        noted = float(self._storage.get_study_system_attrs(self._id).get(_CLOCK, 0.0))
        marks = [mark for one in self.candidates() for mark in (one.asked_s, one.told_s or 0.0)]
        return max([noted, *marks])
