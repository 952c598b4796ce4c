"""A candidate as an Optuna trial; back again it comes in `trial_reading`.

Parameters hold the genes in their own units, but no tables: those no plot could show, and they
stand in the genome. Values hold the fitness, intermediate values the first number of the fitness by
the examples scored so far. User attributes hold the rest: one `score.<task>` a task, so that
Optuna's tables and plots can show them; one `stage.<number>` a stage; one `outcome` for what is
known once the candidate was tried; and what was known when it was asked.

    candidate   running, paused   done       stopped   failed
    trial       RUNNING           COMPLETE   PRUNED    FAIL

Whether a running trial's candidate is paused is the user attribute `paused`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evomerge.evaluators.base import Failure, Outcome, Report
from evomerge.optimizers.base import Fitness, Parentage
from evomerge.recipe.genome import ChoiceGene, CoefficientsGene, Gene, Genome, Scalar
from evomerge.study.candidate import Proposer, RecordedStage

if TYPE_CHECKING:
    # Optuna itself is imported where a trial is made: most commands make none.
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = [
    "OUTCOME",
    "PAUSED",
    "SCORE",
    "STAGE",
    "asked_trial",
    "begun_attribute",
    "outcome_attributes",
    "stage_attribute",
    "stopped_attributes",
]

PAUSED = "paused"
"""The user attribute that says whether a candidate that was not told is paused."""

_BEGUN = "begun"
OUTCOME = "outcome"
SCORE = "score."
"""A task's name follows."""
STAGE = "stage."
"""A stage's number follows, from 0."""

_MESSAGE_LIMIT = 2000


def asked_trial(
    genes: Sequence[Gene],
    genome: Genome,
    *,
    proposed_by: Proposer,
    label: str | None,
    proposal: int | None,
    recipe: Mapping[str, Any],
    digest: str,
    asked: int,
    asked_s: float,
    parentage: Parentage | None = None,
) -> FrozenTrial:
    """The running trial of a candidate that was just asked."""
    from optuna.trial import TrialState, create_trial

    plain = [entry if isinstance(entry, str) else float(entry) for entry in genome]
    pairs = zip(genes, plain, strict=True)
    scalars = [(gene, entry) for gene, entry in pairs if not isinstance(gene, CoefficientsGene)]
    attributes = {
        "origin": proposed_by,
        "label": label,
        "question": proposal,
        "asked": asked,
        "asked_s": round(asked_s, 3),
        "digest": digest,
        "genome": plain,
        "recipe": recipe,
        "descent": parentage and {"version": parentage.version, "parents": list(parentage.parents)},
    }
    return create_trial(
        state=TrialState.RUNNING,
        params={gene.name: _value(gene, entry) for gene, entry in scalars},
        distributions={gene.name: _distribution(gene) for gene, _ in scalars},
        user_attrs={key: value for key, value in attributes.items() if value is not None},
    )


def begun_attribute(stage: int, times: int) -> tuple[str, dict[str, int]]:
    """The attribute, name and value, that says how often the evaluation of `stage`, from 0, was
    begun; of a candidate that is evaluated at once that is stage 0."""
    return _BEGUN, {"stage": stage, "times": times}


def stage_attribute(number: int, stage: RecordedStage) -> tuple[str, dict[str, Any]]:
    """The attribute, name and value, that records the end of stage `number`, from 0."""
    facts = asdict(stage)
    return f"{STAGE}{number}", facts | {"ended_s": round(stage.ended_s, 3)}


def outcome_attributes(
    outcome: Outcome,
    estimated: Fitness | None = None,
    *,
    told: int,
    told_s: float,
    worker: str,
    attempts: int,
    violations: Sequence[float] = (),
) -> dict[str, Any]:
    """The attributes to set before the trial of a candidate that came to its end is closed.

    `estimated`: the standard errors of a fitness that was estimated. `violations`: by how much each
    constraint is missed, where there are some.
    """
    common = {"told": told, "told_s": round(told_s, 3), "worker": worker, "attempts": attempts}
    match outcome:
        case Report():
            scores, facts = _of_report(outcome)
            errors = {} if estimated is None else {"estimated": list(estimated)}
            missed = {"violations": list(violations)} if violations else {}
            return scores | {OUTCOME: common | facts | errors | missed}
        case Failure():
            why = {"cause": outcome.cause, "message": outcome.message[:_MESSAGE_LIMIT]}
            why |= {"error": outcome.error} if outcome.error else {}
            return {OUTCOME: common | {"failure": why}}


def stopped_attributes(
    so_far: Report | None,
    partial: Fitness | None,
    why: str | None = None,
    *,
    told: int,
    told_s: float,
    worker: str,
    attempts: int,
    violations: Sequence[float] = (),
) -> dict[str, Any]:
    """The attributes to set before the trial of a candidate that was given up is closed."""
    scores, facts = _of_report(so_far) if so_far else ({}, {})
    common = {"told": told, "told_s": round(told_s, 3), "worker": worker, "attempts": attempts}
    told_as = {} if partial is None else {"partial": list(partial)}
    reason = {} if why is None else {"why": why[:_MESSAGE_LIMIT]}
    missed = {"violations": list(violations)} if violations else {}
    return scores | {OUTCOME: common | facts | told_as | reason | missed}


def _of_report(report: Report) -> tuple[dict[str, Any], dict[str, Any]]:
    """An attribute for each task, and what stands in the outcome."""
    scores = {f"{SCORE}{name}": task.value for name, task in report.tasks.items()}
    facts: dict[str, Any] = {
        "split": report.split,
        "truncated": report.truncated,
        "seconds": {phase: round(s, 3) for phase, s in report.seconds.items()},
    }
    if report.weights is not None:
        facts["weights"] = report.weights
    return scores, facts


def _distribution(gene: Scalar) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(gene, ChoiceGene):
        return CategoricalDistribution(gene.choices)
    return FloatDistribution(gene.low, gene.high, log=gene.log)


def _value(gene: Scalar, entry: float | str) -> float | str:
    if isinstance(gene, ChoiceGene):
        return entry
    # exp(log(low) + log(high / low)) may land a rounding beyond high, which Optuna refuses.
    return min(max(gene.value(float(entry)), gene.low), gene.high)
