"""A candidate on its way through the stages of its schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from evomerge.errors import RecordError, UserError
from evomerge.evaluators.base import Report, Selection, Split
from evomerge.evaluators.selection import join
from evomerge.recipe.tree import Recipe
from evomerge.searching.held import HeldExamples
from evomerge.searching.schedule import Stage
from evomerge.study.candidate import Candidate
from evomerge.study.examples import part_name
from evomerge.study.record import Study

__all__ = ["Reports", "UnderTest"]


@dataclass(frozen=True)
class UnderTest:
    """A candidate and what has come back of it."""

    candidate: Candidate
    reports: tuple[Report, ...] = ()
    """Of its stages, in their order."""
    so_far: Report | None = None
    """The same, joined."""
    parts: tuple[str | None, ...] = ()
    """Names of the parts that it was scored on; None: the whole split."""
    worker: str = "cache"
    """Where its last stage was evaluated."""
    attempts: int = 0
    """Of all its stages; 0 where every report was there already."""
    stage: Stage = field(default_factory=Stage)
    """The one that is under way, or was the last."""
    held: HeldExamples | None = None
    """What of that stage is on record, so that only the rest is asked for."""
    recipe: Recipe | None = None
    """The candidate's, where it is at hand: of one that waits, and of one of an earlier sitting,
    its space makes it again."""

    @property
    def task(self) -> str:
        """The id of the task for the stage that is under way."""
        number = self.candidate.number
        return f"{number}.{len(self.parts)}" if self.parts else str(number)

    @property
    def asked(self) -> Selection | None:
        """The examples that are to be scored for the stage that is under way; None: all."""
        return self.stage.examples if self.held is None else self.held.missing

    @property
    def scored(self) -> int:
        """How many examples it was scored on."""
        tasks = self.so_far.tasks.values() if self.so_far else ()
        return sum(len(task.examples) for task in tasks)


@dataclass(frozen=True)
class Reports:
    """The reports of a study's candidates: kept by part, and joined."""

    study: Study
    evaluator: str
    """The evaluator's digest."""
    sizes: Mapping[str, int]
    """Task -> examples of the search split, as far as they are known."""

    def load(self, candidate: Candidate, stage: Stage) -> Report | None:
        """The report of a stage, if it was evaluated before, for whichever candidate."""
        digest, part = candidate.digest, _part(stage)
        return self.study.reports.load(digest, self.evaluator, stage.split, part)

    def held(self, test: UnderTest) -> HeldExamples | None:
        """What reports over other examples than those of the stage that comes next tell of these,
        whichever candidate they were made for; None: nothing."""
        stage = test.stage
        evaluation = test.candidate.digest, self.evaluator, stage.split
        known, wanted = self.study.reports, stage.examples
        if wanted is None:  # what is known of sizes is of the search split
            sizes = self.sizes if stage.split == "search" else {}
            wanted = {task: tuple(range(size)) for task, size in sizes.items()}
        elif whole := known.load(*evaluation):
            answers = known.load_answers(*evaluation) or {}
            return HeldExamples.of([whole.model_copy(update={"answers": answers})], wanted)
        at_hand = {
            part: report
            for part, report in zip(test.parts, test.reports, strict=True)
            if report.split == stage.split
        }
        others = known.parts(*evaluation, but=at_hand)
        return HeldExamples.of([*at_hand.values(), *others], wanted)

    def of_stage(self, stage: Stage, held: HeldExamples, rest: Report | None) -> Report:
        """The report of a stage, of what was held and that of what was missing.

        Raises:
            ValueError: they do not go together, as `join` says.
        """
        return held.and_rest(rest, self.sizes if stage.examples is None else {})

    def save(self, candidate: Candidate, stage: Stage, report: Report) -> None:
        """Keep the report of a stage."""
        self.study.reports.save(candidate.digest, self.evaluator, report, _part(stage))

    def add(self, test: UnderTest, report: Report, worker: str, attempts: int) -> UnderTest:
        """The candidate with the report of the stage that was under way.

        Raises:
            UserError: the candidate has had that stage, or the parts cannot be joined.
        """
        part = _part(test.stage)
        if part in test.parts:
            raise UserError(
                f"candidate {test.candidate.number}: its schedule asks for a stage that it has had"
            )
        reports = (*test.reports, report)
        return replace(
            test,
            reports=reports,
            so_far=self._joined(test.candidate, reports),
            parts=(*test.parts, part),
            worker=worker,
            attempts=test.attempts + attempts,
        )

    def restored(self, candidate: Candidate, stages: int) -> UnderTest:
        """The candidate as it was after so many of its recorded stages.

        Raises:
            RecordError: a report has gone.
        """
        recorded = candidate.stages[:stages]
        reports = tuple(self._recorded(candidate, stage.split, stage.part) for stage in recorded)
        return UnderTest(
            candidate,
            reports,
            self._joined(candidate, reports),
            tuple(stage.part for stage in recorded),
            recorded[-1].worker if recorded else "cache",
            sum(stage.attempts for stage in recorded),
        )

    def of(self, candidate: Candidate) -> Report:
        """The report that a candidate's fitness was made of.

        Raises:
            RecordError: it has gone.
        """
        if candidate.stages:
            so_far = self.restored(candidate, len(candidate.stages)).so_far
            assert so_far is not None
            return so_far
        return self._recorded(candidate, "search", None)

    def _recorded(self, candidate: Candidate, split: Split, part: str | None) -> Report:
        report = self.study.reports.load(candidate.digest, self.evaluator, split, part)
        if report is None:
            raise RecordError(
                f"candidate {candidate.number}: its scores are no longer in"
                f" {self.study.path / 'examples'}, and this search goes by them; put the files"
                " back or begin anew"
            )
        return report

    def _joined(self, candidate: Candidate, reports: Sequence[Report]) -> Report | None:
        if len(reports) < 2:
            return next(iter(reports), None)
        try:
            return join(reports, self.sizes)
        except ValueError as problem:
            raise UserError(
                f"candidate {candidate.number}: {problem}; take {{schedule: whole}}"
            ) from problem


def _part(stage: Stage) -> str | None:
    return None if stage.examples is None else part_name(stage.examples)
