"""What differences between two models a search's splits can show, and what is less than that.

Before the first candidate it is reckoned from the number of examples; once the warm starts are
back, from how their answers differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from evomerge.config import Job
from evomerge.errors import RecordError
from evomerge.evaluators.base import EvaluatorConfig, Report, Split
from evomerge.evaluators.quantities import SHARES
from evomerge.searching.telemetry import PARENT
from evomerge.searching.under_test import Reports
from evomerge.study.candidate import Candidate, landmarks
from evomerge.study.comparison_table import is_mean
from evomerge.study.power import ASSUMED_CORRELATION, Detectable, Paired, examples_for
from evomerge.study.record import Study
from evomerge.wording import count

__all__ = ["Detection", "Expected", "basis", "expected", "goal_warnings"]

JUDGING: tuple[Split, ...] = ("validation", "holdout")
"""The splits by which models are compared."""
MEASURED = "detectable"
"""Where the record has what the warm starts told: split -> `Detectable`."""


@dataclass(frozen=True)
class Expected:
    """What a split can show, before anything is scored."""

    alone: Detectable
    """If each example tells something of its own."""
    by_source: Detectable | None = None
    """If those of one source are all alike, where some share one."""

    def to_text(self, split: str) -> str:
        """`holdout: 0.077 (200 examples)`, and what sources may make of it."""
        if self.alone.difference >= 1:
            return f"{split}: none ({count(self.alone.examples, 'example')})"
        said = self.alone.to_text(split)
        if self.by_source is None:
            return said
        worst, sources = min(1.0, self.by_source.difference), self.by_source.examples
        return f"{said}; up to {worst:.3f} if those of one source are alike ({sources} sources)"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        worst = self.by_source
        return {
            "difference": self.alone.difference,
            "examples": self.alone.examples,
            "correlation": self.alone.correlation,
            **(
                {"sources": worst.examples, "difference_by_source": worst.difference}
                if worst
                else {}
            ),
        }


def expected(evaluator: EvaluatorConfig) -> dict[Split, Expected]:
    """Split -> what it can show; without those of which that is not known.

    It is known of metrics of 0 and 1, and of numbers of examples that are known without a model.
    """
    weights, metrics = evaluator.weights, evaluator.metrics
    if any(metrics.get(task) not in SHARES for task in weights):
        return {}
    paired = dict.fromkeys(weights, Paired.assumed())
    said: dict[Split, Expected] = {}
    for split in JUDGING:
        sizes = evaluator.counts(split)
        alone = Detectable.of(paired, sizes, weights, is_measured=False)
        if alone is None:
            continue
        sources = {task: n for task, n in evaluator.sources(split).items() if task in weights}
        by_source = paired | {task: Paired.assumed(_freedom(n)) for task, n in sources.items()}
        grouped = Detectable.of(by_source, {**sizes, **sources}, weights, is_measured=False)
        said[split] = Expected(alone, grouped if sources else None)
    return said


def basis() -> str:
    """How `expected` was reckoned, for a person."""
    return (
        "of two models, found by a two-sided test at 0.05 in 80 % of cases if half of the answers"
        f" are right and those of two models correlate by {ASSUMED_CORRELATION:g}"
    )


def goal_warnings(job: Job, detectable: Mapping[Split, Expected]) -> Iterator[str]:
    """That a split cannot show what the job says it is after."""
    if (goal := job.select.detect) is None:
        return
    for split, shows in detectable.items():
        yield from _too_small(f"select.detect: {goal:g}", goal, split, shows.alone)


@dataclass
class Detection:
    """Hears of a search's candidates, and says once what its warm starts tell."""

    study: Study
    job: Job
    reports: Reports
    landmarks: int
    """How many warm starts there are."""
    say: Callable[[str], None]
    _has_looked: bool = False

    def told(self, candidate: Candidate) -> None:
        """Look whether all warm starts are back, the first time that they are."""
        if self._has_looked and candidate.proposed_by != "landmark":
            return
        self._has_looked = True
        if self.study.get(MEASURED) is not None:
            return
        own = landmarks(self.study.candidates())
        if len(own) < self.landmarks or any(mark.told is None for mark in own):
            return
        detectable = self._measured(own)
        self.study.put(MEASURED, {split: shows.model_dump() for split, shows in detectable.items()})
        if detectable:
            named = ", ".join(shows.to_text(split) for split, shows in detectable.items())
            agree = next(iter(detectable.values())).correlation
            how = "" if agree is None else f", whose scores correlate by {agree:.2f}"
            self.say(f"smallest difference, by the warm starts{how}: {named}")
        for warning in self._warnings(own, detectable):
            self.say(f"warning: {warning}")

    def _measured(self, own: list[Candidate]) -> dict[Split, Detectable]:
        chosen = [mark for mark in own if (mark.label or "").startswith(PARENT)]
        reports = [
            report
            for mark in (chosen if len(chosen) > 1 else own)
            if (report := self._report(mark)) is not None
        ]
        evaluator = self.job.evaluator
        weights = evaluator.weights
        # In a staged search they may have been scored on different examples.
        reports = [report for report in reports if _asked(report) == _asked(reports[0])]
        paired: dict[str, Paired] = {}
        for task in weights:
            models = [report.tasks[task] for report in reports if task in report.tasks]
            if all(map(is_mean, models)) and (own_task := Paired.measured(models)):
                paired[task] = own_task
        detectable: dict[Split, Detectable] = {}
        for split in JUDGING:
            there = {task: self._on(split, task, own) for task, own in paired.items()}
            shows = Detectable.of(there, evaluator.sizes(split), weights, is_measured=True)
            if shows is not None and shows.difference > 0:
                detectable[split] = shows
        return detectable

    def _on(self, split: Split, task: str, measured: Paired) -> Paired:
        """What the search split tells of another, whose sources may be of more examples."""
        evaluator = self.job.evaluator
        sizes, sources = evaluator.sizes(split), evaluator.sources(split)
        if task not in sizes or task not in {**evaluator.sources("search"), **sources}:
            return measured  # nothing is known of them
        if task not in sources:  # each example has its own
            return measured.elsewhere(1.0)
        return measured.elsewhere(sizes[task] / sources[task], freedom=_freedom(sources[task]))

    def _report(self, mark: Candidate) -> Report | None:
        if mark.fitness is None:
            return None
        try:
            return self.reports.of(mark)
        except RecordError:  # gone from the folder, which an optimizer of fitnesses may not mind
            return None

    def _warnings(
        self, own: list[Candidate], detectable: Mapping[Split, Detectable]
    ) -> Iterator[str]:
        scored = [mark for mark in own if mark.fitness is not None]
        goals = {}
        if self.job.select.detect is not None:
            goals[f"select.detect: {self.job.select.detect:g}"] = self.job.select.detect
        if self.job.budget.target and scored:
            best = max(scored, key=lambda mark: (mark.fitness or (0.0,))[0])
            value = (best.fitness or (0.0,))[0]
            target = self.job.budget.target[0]
            said = f"budget.target: {target:g} is {target - value:.3f} above {best.label}"
            goals[f"{said}, the best warm start, which"] = target - value
        for said, goal in goals.items():
            for split, shows in detectable.items():
                yield from _too_small(said, goal, split, shows)


def _freedom(sources: int) -> float:
    """Degrees of freedom of a mean over so many; at least 1."""
    return max(sources - 1.0, 1.0)


def _asked(report: Report) -> object:
    return report.places, {task: len(score.examples) for task, score in report.tasks.items()}


def _too_small(said: str, goal: float, split: Split, shows: Detectable) -> Iterator[str]:
    if 0 < goal < shows.difference:
        needed = examples_for(goal, shows.difference, shows.examples)
        yield (
            f"{said} is less than the {shows.examples} examples of the {split} split can show"
            f" ({shows.difference:.3f}); that takes {needed:,}"
        )
