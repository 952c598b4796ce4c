"""The study: the durable record of a search, from which it resumes.

A candidate is recorded when it is asked, an evaluation before it is begun, each stage when its
report is in, and the outcome before the optimizer is told. Asks, ends of stages and tells are
numbered in one order, so that replaying them (`evomerge.study.replay`) restores the optimizer. How
a study is made, opened and closed is in `evomerge.study.opened`.

    ask --> running <--> paused      a paused candidate waits for its schedule
               |           |
               '-----------'-----> done, stopped or failed, for good
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from evomerge.evaluators.base import Outcome, Report, Split
from evomerge.optimizers.base import Fitness, Parentage
from evomerge.recipe.digest import digest_of_plain, plain
from evomerge.recipe.genome import Genome
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
from evomerge.study.folder import StudyFolder
from evomerge.study.lock import WriterLock
from evomerge.study.opened import Clock, OpenStudy
from evomerge.study.reports import KnownReports
from evomerge.study.trial import (
    PAUSED,
    asked_trial,
    begun_attribute,
    outcome_attributes,
    stage_attribute,
    stopped_attributes,
)
from evomerge.wording import count

__all__ = ["Study"]


class Study(OpenStudy):
    """A search on record. Made by `create` and `open`; not for use by several threads at once."""

    def __init__(
        self, folder: StudyFolder, lock: WriterLock | None, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(folder, lock, clock)
        self.reports = KnownReports(self._examples, self._check_writing)
        """Of finished evaluations, each to be saved before its stage is added or its candidate
        told."""
        try:
            self._next = len(self.events())
        except BaseException:
            self._release()
            raise

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
        self._check_writing()
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
        self._check_writing()
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
        self._check_writing()
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
        self._check_writing()
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
        self._check_writing()
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
        violations: Sequence[float] = (),
    ) -> int:
        """Record that a candidate was given up, as `tell` records an end.

        Args:
            so_far: the report of its stages; None where there were none.
            fitness: what the optimizer is told of it; None: that it failed. It is kept apart from
                the fitness of candidates that came to their end.
            why: in a sentence; None where the schedule says nothing.
            violations: by how much each constraint is missed, where there are some, as far as its
                stages tell.

        Raises:
            RecordError: no such candidate, or it was told already.
            ValueError: the fitness does not go with the objectives.
        """
        if fitness is not None:
            self._check_numbers(fitness)
        self._check_writing()
        attributes = stopped_attributes(
            so_far,
            fitness,
            why,
            told=self._next,
            told_s=self.seconds_spent,
            worker=worker,
            attempts=attempts,
            violations=violations,
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
        self._check_writing()
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
        self._check_writing()
        self._trials.put_notes(about_study, about_candidates)

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
