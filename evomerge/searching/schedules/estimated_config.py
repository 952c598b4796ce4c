"""What a job says of estimates, and whether they can be had."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evomerge.config import ScheduleConfig
from evomerge.errors import ConfigError
from evomerge.estimating.estimator import LEAST, EstimatorKind
from evomerge.optimizers.base import Optimizer, needs_examples
from evomerge.wording import count

__all__ = ["EstimatedConfig", "check_estimates"]


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
    degenerate: bool = Field(default=True, exclude_if=lambda ends: bool(ends))
    """End candidates after their first stage of which nine in ten answers are empty, or repeat one
    thing until they are cut off."""

    @model_validator(mode="after")
    def _by_items(self) -> EstimatedConfig:
        if self.anchors == "adaptive" and self.estimator not in ("p_irt", "mp_irt"):
            raise ValueError(
                "anchors: adaptive ones are chosen by how a candidate answers, so that their mean"
                " says little; take estimator: p_irt or mp_irt, or anchors: random"
            )
        return self


def check_estimates(
    config: ScheduleConfig, optimizer: Optimizer, landmarks: int, uneven: Collection[str] = ()
) -> None:
    """Check that an estimator will have what it learns from, and an optimizer what it goes by.

    Args:
        landmarks: how many warm starts there are.
        uneven: tasks that count and are known to be no plain mean of their examples' scores.

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
    for task in sorted(uneven):
        raise ConfigError(
            f"schedule: estimated takes every task for the plain mean of its examples' scores, and"
            f" the metric of {task!r} is none (perplexities, bits per byte and groups of even tasks"
            " weigh them); take {schedule: whole}, or a metric that is a mean"
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
