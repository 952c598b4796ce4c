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

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from evomerge.config import ScheduleConfig
from evomerge.errors import ConfigError, UserError
from evomerge.estimating.anchors import Anchors, cluster_anchors, random_anchors
from evomerge.estimating.estimator import LEAST, Estimator, EstimatorKind
from evomerge.estimating.information import most_informative
from evomerge.estimating.items import Array
from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Fitness, Optimizer, needs_examples
from evomerge.searching.schedule import Decision, Estimate, Finished, Stage
from evomerge.study.candidate import Candidate
from evomerge.wording import count

__all__ = ["Estimated", "EstimatedConfig", "check_estimates"]

WHOLE_FROM = 0.75
"""A stage that would come to this share of all examples takes all of them."""


class EstimatedConfig(ScheduleConfig):
    """Most candidates are scored on a few examples, and their fitness on all is estimated.

    Whatever may be the best is scored further, on all examples in the end.
    """

    kind: Literal["estimated"] = "estimated"
    estimator: EstimatorKind = "gmp_irt"
    """anchors: their weighted mean. p_irt: by how hard each example is for a model of the ability
    that the anchors show. mp_irt: the same, with an ability mixed of the warm starts'. gp_irt,
    gmp_irt: those and the anchors' mean, each as much as it has been right about known models."""
    examples: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, lt=1)] = 12
    """How many a candidate is scored on at first; below 1: a share of the search split."""
    anchors: Literal["random", "clusters", "adaptive"] = "random"
    """Which: drawn once; one for each cluster of examples that known models answer alike; or half
    of them drawn, and then those that tell most about this candidate."""
    doubt: Annotated[float, Field(ge=0, le=10)] = 1.5
    """In the end candidates are scored further whose estimate and so many standard errors are above
    the best score that is known; before that, those whose estimate alone is."""
    grow: Annotated[float, Field(gt=1, le=100)] = 2.0
    """How many times the examples each further stage comes to."""
    whole_first: Annotated[int, Field(ge=0)] = 2
    """So many of the optimizer's first candidates are scored whole."""
    whole_every: Annotated[int, Field(ge=0)] = 0
    """And of the others one in so many, whatever its estimate; 0: none."""

    @model_validator(mode="after")
    def _by_items(self) -> EstimatedConfig:
        if self.anchors == "adaptive" and self.estimator not in ("p_irt", "mp_irt"):
            raise ValueError(
                "anchors: adaptive ones are chosen by how a candidate answers, so that their mean"
                " says little; take estimator: p_irt or mp_irt, or anchors: random"
            )
        return self


def check_estimates(config: ScheduleConfig, optimizer: Optimizer, landmarks: int) -> None:
    """Check that an estimator will have what it learns from, and an optimizer what it goes by.

    `landmarks`: how many warm starts there are.

    Raises:
        ConfigError: one of them will not.
    """
    if not isinstance(config, EstimatedConfig):
        return
    if needs_examples(optimizer):
        raise ConfigError(
            "schedule: an estimated fitness has no scores of the examples that were not asked, and"
            " this optimizer goes by all of them; take {schedule: whole}, or {kind: cma_es}"
        )
    if config.estimator == "anchors":
        return
    if config.estimator in ("mp_irt", "gmp_irt") and not landmarks:
        raise ConfigError(
            f"schedule.estimator: {config.estimator} mixes a candidate's ability of those of the"
            " warm starts, and this job has none; set warm_start.landmarks: true, or take"
            " estimator: gp_irt"
        )
    if landmarks + config.whole_first < LEAST:
        raise ConfigError(
            f"schedule.estimator: {config.estimator} learns how hard each example is from at least"
            f" {LEAST} candidates that are scored whole, and this job has"
            f" {count(landmarks, 'warm start')} and whole_first: {config.whole_first}; raise"
            " whole_first, or take estimator: anchors"
        )


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
        weights = {task: weight for task, weight in objective.weights.items() if weight > 0}
        for task in weights:
            if not sizes.get(task):
                raise ConfigError(
                    f"schedule: estimated has to know how many search examples the task {task!r}"
                    " has; give its search split an end, or take {schedule: whole}"
                )
        self._sizes = {task: sizes[task] for task in weights}
        self._weights = weights
        self._places = [
            (task, place) for task, size in self._sizes.items() for place in range(size)
        ]
        self._number = {pair: number for number, pair in enumerate(self._places)}
        tasks = list(self._sizes)
        self._groups = np.array([tasks.index(task) for task, _ in self._places])
        self._first = self._many(config.examples)
        self._anchors: Anchors | None = None
        self._estimator = Estimator(config.estimator, self._groups)
        self._learned: set[int] = set()
        """Candidates that were scored whole."""
        self._best: list[Fitness] = []
        """Their fitness, of those that no other is as good as in everything."""
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
                self._decided[key] = self._decide(candidate, so_far, doubt=0.0)
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

    def _decide_again(self, candidate: Candidate, so_far: Report | None, scored: int) -> Decision:
        """What was decided at first, as far as that went, and then by all that can be hoped."""
        before, _ = self._guessed[candidate.digest]
        self._again.add(candidate.digest)
        decided = self._decided.get((before.number, scored))
        if isinstance(decided, Stage):
            return decided
        assert so_far is not None
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

    def _begin(self, candidate: Candidate) -> Stage:
        question, config = candidate.proposal, self._config
        if (
            question is None
            or question < config.whole_first
            or (config.whole_every and question % config.whole_every == config.whole_every - 1)
            or not self._estimator.is_ready
            or not self._learned
            or self._first >= WHOLE_FROM * len(self._places)
        ):
            return Stage()
        if self._anchors is None:
            self._anchors = self._choose_anchors()
            self._estimator.strata = self._anchors.strata
        at_first = self._first // 2 if config.anchors == "adaptive" else self._first
        at_first = max(at_first, len(self._sizes))  # each task has an example
        return self._stage(self._anchors.order[:at_first])

    def _choose_anchors(self) -> Anchors:
        shares = list(self._weights.values())
        if self._config.anchors == "clusters" and self._estimator.known:
            answers = self._estimator.answers
            return cluster_anchors(answers, self._groups, shares, self._first, seed=self._seed)
        return random_anchors(self._groups, shares, seed=self._seed)

    def _further(self, places: Sequence[int], scores: Array, wanted: float) -> Stage:
        """The examples that are missing to so many."""
        asked = set(places)
        left = len(self._places) - len(asked)
        more = min(left, max(1, round(wanted) - len(asked)))
        if len(asked) + more >= WHOLE_FROM * len(self._places):
            more = left
        if self._config.anchors == "adaptive":
            calibration, ability = self._estimator.ability(places, scores)
            return self._stage(most_informative(calibration.items, ability.at, asked, more))
        assert self._anchors is not None
        return self._stage([at for at in self._anchors.order if at not in asked][:more])

    def _stage(self, places: Sequence[int]) -> Stage:
        chosen: dict[str, list[int]] = {}
        for number in sorted(places):
            task, place = self._places[number]
            chosen.setdefault(task, []).append(place)
        return Stage(examples={task: tuple(held) for task, held in chosen.items()})

    def _estimate(self, so_far: Report, places: Sequence[int], scores: Array) -> Estimate:
        """The objective of a report whose tasks have the values that they would have."""
        tasks: dict[str, TaskScore] = dict(so_far.tasks)
        for group, (task, size) in enumerate(self._sizes.items()):
            masses = np.where(self._groups == group, 1.0 / size, 0.0)
            value = self._estimator.estimate(places, scores, masses).value
            tasks[task] = tasks[task].model_copy(update={"value": value})
        fitness = self._objective(so_far.model_copy(update={"tasks": tasks}))
        error = self._estimator.estimate(places, scores, self._masses(so_far)).error
        return Estimate(fitness, (error, *(0.0 for _ in fitness[1:])))

    def _masses(self, report: Report) -> Array:
        """How much each example counts in the first number of the fitness."""
        total = sum(self._weights.values())
        each = [
            weight / total / self._sizes[task] * (1 if report.tasks[task].higher_is_better else -1)
            for task, weight in self._weights.items()
        ]
        masses: Array = np.array(each)[self._groups]
        return masses

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
        if not any(_is_as_good(known, fitness) for known in self._best):
            self._best = [known for known in self._best if not _is_as_good(fitness, known)]
            self._best.append(fitness)
        self._learned.add(candidate.number)
        self._estimates.clear()
        self._guessed.pop(candidate.digest, None)
        self._estimator.learn(scores, endpoint=candidate.proposed_by == "landmark")

    def _scored(self, candidate: Candidate, report: Report) -> tuple[tuple[int, ...], Array]:
        """Numbers of the examples that were scored, ascending, and their scores."""
        held: dict[int, float] = {}
        for task, size in self._sizes.items():
            score = report.tasks[task]
            self._check(candidate, task, score)
            at = range(size) if report.places is None else report.places[task]
            held |= {
                self._number[task, place]: value
                for place, value in zip(at, score.examples, strict=True)
            }
        numbers = tuple(sorted(held))
        return numbers, np.array([held[number] for number in numbers])

    def _check(self, candidate: Candidate, task: str, score: TaskScore) -> None:
        """Raises: UserError: the task's value is nothing that can be estimated so."""
        where = f"candidate {candidate.number}: task {task!r}"
        if score.weights is not None or score.mean != "arithmetic" or not score.examples:
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

    def _many(self, examples: float) -> int:
        """A number of examples, of which a share is rounded."""
        every, least = len(self._places), max(2, len(self._sizes))
        return min(every, max(least, round(examples * every) if examples < 1 else int(examples)))


def _is_as_good(fitness: Sequence[float], as_this: Sequence[float]) -> bool:
    """Whether it is, in every objective."""
    return all(own >= other for own, other in zip(fitness, as_this, strict=True))
