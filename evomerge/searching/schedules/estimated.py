"""A schedule that scores most candidates on a few examples, and estimates their fitness.

    landmarks, and the first few questions     whole: examples are learned from them
    every other candidate                      the anchors; while its estimate is above the best
                                               score that is known, more and more, to all of them
    when nothing more is asked                 again, those that may be the best after all, by what
                                               is known of the examples by then: the likeliest first

So whatever leads was scored on all examples, and no estimate is above the best score that is known.
An estimate is recorded with its standard error, and the optimizer hears it as the fitness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from evomerge.errors import UserError
from evomerge.estimating.anchors import Anchors, cluster_anchors, random_anchors
from evomerge.estimating.estimator import Estimation, Estimator
from evomerge.estimating.information import most_informative
from evomerge.estimating.items import Array
from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.quantities import sign_of
from evomerge.optimizers.base import Fitness
from evomerge.searching.schedule import Decision, Estimate, Finished, Stage, Stopped
from evomerge.searching.schedules.allowed import missed
from evomerge.searching.schedules.degenerate import degeneration
from evomerge.searching.schedules.estimated_config import EstimatedConfig
from evomerge.searching.schedules.numbered import NumberedExamples
from evomerge.study.candidate import Candidate
from evomerge.wording import count

__all__ = ["Estimated"]

WHOLE_FROM = 0.75
"""A stage that would come to this share of all examples takes all of them."""


class Estimated:
    """See `EstimatedConfig`."""

    config: ClassVar[type[EstimatedConfig]] = EstimatedConfig
    remembers: ClassVar[bool] = True
    needs_objective: ClassVar[bool] = True

    def __init__(
        self,
        config: EstimatedConfig,
        *,
        sizes: Mapping[str, int],
        seed: int,
        objective: Objective,
    ) -> None:
        """`sizes`: task -> examples of the search split.

        Raises:
            ConfigError: the size of a task that counts is not known.
        """
        self._config, self._seed, self._objective = config, seed, objective
        self._examples = NumberedExamples(sizes, objective.weights)
        self._first = self._examples.many(config.examples)
        self._anchors: Anchors | None = None
        self._estimator = Estimator(config.estimator, self._examples.groups)
        self._learned: set[int] = set()
        """Candidates that were scored whole."""
        self._best: list[Fitness] = []
        """Their fitness, of those that keep the constraints and that no other is as good as in
        everything."""
        self._guessed: dict[str, tuple[Candidate, Report]] = {}
        """Digest -> a candidate that has ended with an estimate, and what was scored of it."""
        self._estimates: dict[str, Estimate] = {}
        """Digest -> its estimate by all that is known now, as far as that was asked for."""
        self._again: set[str] = set()
        """Digests of those that were asked again."""
        self._decided: dict[tuple[int, int], Decision] = {}
        """Candidate and examples scored by then -> what was decided: it stays so."""

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        if isinstance(so_far, Failure):
            return Finished()
        if so_far is not None and so_far.places is None:
            self._learn(candidate, so_far)
            return Finished()
        scored = 0 if so_far is None else sum(len(t.examples) for t in so_far.tasks.values())
        key = candidate.number, scored
        if key not in self._decided:
            if candidate.proposed_by == "finalist":
                self._decided[key] = self._decide_again(candidate, so_far, scored)
            else:
                ended = self._degenerate(candidate, so_far, scored)
                self._decided[key] = ended or self._decide(candidate, so_far, doubt=0.0)
        return self._decided[key]

    def again(self) -> Candidate | None:
        """See `schedule.again`: the one that may be the best with the highest hopes."""
        hopes = []
        for digest, (candidate, so_far) in self._guessed.items():
            if digest not in self._again:
                if digest not in self._estimates:
                    scored = self._scored(candidate, so_far)
                    self._estimates[digest] = self._estimate(so_far, *scored)
                estimate = self._estimates[digest]
                if not self._is_beaten(estimate, self._config.doubt):
                    hope = estimate.fitness[0] + self._config.doubt * estimate.errors[0]
                    hopes.append((hope, -candidate.number, candidate))
        return max(hopes)[-1] if hopes else None

    def spares_nothing(self) -> str | None:
        """See `schedule.spares_nothing`."""
        if self._spares:
            return None
        return (
            f"examples: {self._config.examples:g} is nearly all of the"
            f" {count(len(self._examples), 'example')}"
        )

    def _decide_again(self, candidate: Candidate, so_far: Report | None, scored: int) -> Decision:
        """What was decided at first, as far as that went, and then by all that can be hoped.

        On record may be one that was asked again by an earlier version, and would not be by now.
        """
        guessed = self._guessed.get(candidate.digest)
        self._again.add(candidate.digest)
        decided = self._decided.get((guessed[0].number, scored)) if guessed else None
        if isinstance(decided, Stage):
            return decided
        if so_far is None:
            return Stage()
        return self._decide(candidate, so_far, doubt=self._config.doubt)

    def _decide(self, candidate: Candidate, so_far: Report | None, *, doubt: float) -> Decision:
        if so_far is None:
            return self._begin(candidate)
        places, scores = self._scored(candidate, so_far)
        estimate = self._estimate(so_far, places, scores)
        if not self._is_beaten(estimate, doubt):
            return self._further(places, scores, len(places) * self._config.grow)
        if len(places) < self._first:  # the second half of adaptive anchors
            return self._further(places, scores, self._first)
        self._guessed.setdefault(candidate.digest, (candidate, so_far))
        return Finished(estimate)

    def _degenerate(
        self, candidate: Candidate, so_far: Report | None, scored: int
    ) -> Stopped | None:
        """Its end after the first stage, if its answers say nothing; never asked again."""
        if so_far is None or not self._config.degenerate or scored > self._at_first:
            return None
        if (why := degeneration(so_far)) is None:
            return None
        told = self._estimate(so_far, *self._scored(candidate, so_far)).fitness
        return Stopped(told, why=f"after {scored} of {len(self._examples)} examples: {why}")

    @property
    def _spares(self) -> bool:
        return self._first < WHOLE_FROM * len(self._examples)

    @property
    def _at_first(self) -> int:
        """Of how many examples a first stage is: one of each task at least."""
        half = self._config.anchors == "adaptive"
        return max(self._first // 2 if half else self._first, len(self._examples.sizes))

    def _begin(self, candidate: Candidate) -> Stage:
        question, config = candidate.proposal, self._config
        if (
            question is None
            or question < config.whole_first
            or (config.whole_every and question % config.whole_every == config.whole_every - 1)
            or not self._estimator.is_ready
            or not self._learned
            or not self._spares
        ):
            return Stage()
        if self._anchors is None:
            self._anchors = self._choose_anchors()
            self._estimator.strata = self._anchors.strata
        return self._of(self._anchors.order[: self._at_first])

    def _choose_anchors(self) -> Anchors:
        shares = list(self._examples.weights.values())
        if self._config.anchors == "clusters" and self._estimator.known:
            answers = self._estimator.answers
            return cluster_anchors(
                answers, self._examples.groups, shares, self._first, seed=self._seed
            )
        return random_anchors(self._examples.groups, shares, seed=self._seed)

    def _further(self, places: Sequence[int], scores: Array, wanted: float) -> Stage:
        """The examples that are missing to so many."""
        asked = set(places)
        left = len(self._examples) - len(asked)
        more = min(left, max(1, round(wanted) - len(asked)))
        if len(asked) + more >= WHOLE_FROM * len(self._examples):
            more = left
        if self._config.anchors == "adaptive":
            calibration, ability = self._estimator.ability(places, scores)
            return self._of(most_informative(calibration.items, ability.at, asked, more))
        assert self._anchors is not None
        return self._of([at for at in self._anchors.order if at not in asked][:more])

    def _of(self, numbers: Sequence[int]) -> Stage:
        return Stage(examples=self._examples.selection(numbers))

    def _estimate(self, so_far: Report, places: Sequence[int], scores: Array) -> Estimate:
        """The objective of a report whose tasks have the values that they would have."""
        own, tasks = dict[str, Estimation](), dict(so_far.tasks)
        for group, (task, size) in enumerate(self._examples.sizes.items()):
            masses = np.where(self._examples.groups == group, 1.0 / size, 0.0)
            own[task] = self._estimator.estimate(places, scores, masses)
            tasks[task] = tasks[task].model_copy(update={"value": own[task].value})
        guessed = so_far.model_copy(update={"tasks": tasks})
        config, names = self._objective.config, self._objective.names
        if config.objectives:
            errors = [own[name].error if name in own else 0.0 for name in names]
            return Estimate(self._objective(guessed), tuple(errors))
        if config.combine == "worst":
            worst = min(own, key=lambda task: sign_of(tasks[task]) * own[task].value)
            error = own[worst].error
        else:
            error = self._estimator.estimate(places, scores, self._examples.masses(so_far)).error
        return Estimate(self._objective(guessed), (error, *(0.0 for _ in names[1:])))

    def _scored(self, candidate: Candidate, report: Report) -> tuple[tuple[int, ...], Array]:
        """See `NumberedExamples.scored`.

        Raises:
            UserError: the value of a task is nothing that can be estimated so.
        """
        for task in self._examples.sizes:
            self._check(candidate, task, report.tasks[task])
        return self._examples.scored(report)

    def _check(self, candidate: Candidate, task: str, score: TaskScore) -> None:
        """Raises: UserError: the task's value is nothing that can be estimated so."""
        where = f"candidate {candidate.number}: task {task!r}"
        if not _is_plain_mean(score):
            raise UserError(
                f"{where}: its {score.metric} is no plain mean of its examples' scores, so that it"
                " cannot be estimated from some of them; take {schedule: whole}"
            )
        low, high = min(score.examples), max(score.examples)
        if self._config.estimator != "anchors" and not 0 <= low <= high <= 1:
            raise UserError(
                f"{where}: {self._config.estimator} goes by scores from 0 to 1, and its"
                f" {score.metric} goes from {low:.3g} to {high:.3g}; take estimator: anchors"
            )

    def _is_beaten(self, estimate: Estimate, doubt: float) -> bool:
        """Whether a candidate is known that is as good in everything, by all that can be hoped."""
        hoped = [
            value + doubt * error
            for value, error in zip(estimate.fitness, estimate.errors, strict=True)
        ]
        return any(_is_as_good(fitness, hoped) for fitness in self._best)

    def _learn(self, candidate: Candidate, report: Report) -> None:
        if candidate.number in self._learned:
            return
        _, scores = self._scored(candidate, report)
        fitness = self._objective(report)
        if not missed(self._objective, report) and not any(
            _is_as_good(known, fitness) for known in self._best
        ):
            self._best = [known for known in self._best if not _is_as_good(fitness, known)]
            self._best.append(fitness)
        self._learned.add(candidate.number)
        self._estimates.clear()
        self._guessed.pop(candidate.digest, None)
        self._estimator.learn(scores, endpoint=candidate.proposed_by == "landmark")


def _is_as_good(fitness: Sequence[float], as_this: Sequence[float]) -> bool:
    """Whether it is, in every objective."""
    return all(own >= other for own, other in zip(fitness, as_this, strict=True))


def _is_plain_mean(score: TaskScore) -> bool:
    """Whether a task's value is that of its examples."""
    if score.weights is not None or score.mean != "arithmetic" or not score.examples:
        return False
    mean = sum(score.examples) / len(score.examples)
    return math.isclose(mean, score.value, rel_tol=1e-6, abs_tol=1e-6)
