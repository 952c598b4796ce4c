"""A candidate as an Optuna trial, and back.

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

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Outcome, Report
from evomerge.optimizers.base import Fitness, Parentage
from evomerge.recipe.genome import ChoiceGene, CoefficientsGene, Gene, Genome, Scalar
from evomerge.study.candidate import Candidate, Proposer, RecordedStage, State

if TYPE_CHECKING:
    # Optuna itself is imported where a trial is made: most commands make none.
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = [
    "PAUSED",
    "asked_trial",
    "begun_attribute",
    "outcome_attributes",
    "stage_attribute",
    "stopped_attributes",
    "to_candidate",
]

PAUSED = "paused"
"""The user attribute that says whether a candidate that was not told is paused."""

_BEGUN = "begun"
_OUTCOME = "outcome"
_SCORE = "score."
_STAGE = "stage."
_MESSAGE_LIMIT = 2000

_STATES: dict[str, State] = {
    "RUNNING": "running",
    "COMPLETE": "done",
    "PRUNED": "stopped",
    "FAIL": "failed",
}


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
    return f"{_STAGE}{number}", facts | {"ended_s": round(stage.ended_s, 3)}


def outcome_attributes(
    outcome: Outcome, *, told: int, told_s: float, worker: str, attempts: int
) -> dict[str, Any]:
    """The attributes to set before the trial of a candidate that came to its end is closed."""
    common = {"told": told, "told_s": round(told_s, 3), "worker": worker, "attempts": attempts}
    match outcome:
        case Report():
            scores, facts = _of_report(outcome)
            return scores | {_OUTCOME: common | facts}
        case Failure():
            why = {"cause": outcome.cause, "message": outcome.message[:_MESSAGE_LIMIT]}
            why |= {"error": outcome.error} if outcome.error else {}
            return {_OUTCOME: common | {"failure": why}}


def stopped_attributes(
    so_far: Report | None,
    partial: Fitness | None,
    *,
    told: int,
    told_s: float,
    worker: str,
    attempts: int,
) -> dict[str, Any]:
    """The attributes to set before the trial of a candidate that was given up is closed."""
    scores, facts = _of_report(so_far) if so_far else ({}, {})
    common = {"told": told, "told_s": round(told_s, 3), "worker": worker, "attempts": attempts}
    told_as = {} if partial is None else {"partial": list(partial)}
    return scores | {_OUTCOME: common | facts | told_as}


def _of_report(report: Report) -> tuple[dict[str, Any], dict[str, Any]]:
    """An attribute for each task, and what stands in the outcome."""
    scores = {f"{_SCORE}{name}": task.value for name, task in report.tasks.items()}
    facts = {
        "split": report.split,
        "truncated": report.truncated,
        "seconds": {phase: round(s, 3) for phase, s in report.seconds.items()},
    }
    return scores, facts


def to_candidate(genes: Sequence[Gene], trial: FrozenTrial) -> Candidate:
    """What a trial says about its candidate.

    Raises:
        RecordError: the trial was made or closed by something other than evomerge.
    """
    try:
        candidate = _read(genes, trial)
        _check_kinds(candidate)
        return candidate
    except (AttributeError, LookupError, TypeError, ValueError) as problem:
        raise RecordError(
            f"candidate {trial.number}: its record is damaged ({type(problem).__name__})"
        ) from problem


def _check_kinds(candidate: Candidate) -> None:
    """Raises: TypeError: what is put in an order or summed is no number."""
    numbers = [candidate.asked, candidate.told or 0, *(s.ended for s in candidate.stages)]
    seconds = [candidate.asked_s, candidate.told_s or 0, *(s.ended_s for s in candidate.stages)]
    if any(type(number) is not int for number in numbers):
        raise TypeError("asked, ended or told is no whole number")
    if not all(isinstance(number, int | float) for number in seconds):
        raise TypeError("a time is no number")
    kinds: tuple[object, object] = candidate.digest, candidate.recipe
    if not isinstance(kinds[0], str) or not isinstance(kinds[1], Mapping):
        raise TypeError("the recipe is none")


def _read(genes: Sequence[Gene], trial: FrozenTrial) -> Candidate:
    attributes = trial.user_attrs
    state = _STATES.get(trial.state.name)
    if state is None or "asked" not in attributes:
        raise RecordError(f"trial {trial.number} is not a candidate that evomerge recorded")
    if state != "running" and _OUTCOME not in attributes:
        raise RecordError(f"candidate {trial.number} was closed by something other than evomerge")
    # Attributes of a tell that was cut off before the trial was closed do not count.
    outcome = {} if state == "running" else attributes[_OUTCOME]
    if state == "running" and attributes.get(PAUSED):
        state = "paused"
    failure, partial = outcome.get("failure"), outcome.get("partial")
    stages, begun = _stages(attributes), attributes.get(_BEGUN, {})
    return Candidate(
        number=trial.number,
        proposed_by=attributes["origin"],
        label=attributes.get("label"),
        proposal=attributes.get("question"),
        genome=tuple(attributes["genome"]),
        values={
            gene.name: entry if isinstance(gene, CoefficientsGene) else trial.params[gene.name]
            for gene, entry in zip(genes, attributes["genome"], strict=True)
        },
        recipe=attributes["recipe"],
        digest=attributes["digest"],
        asked=attributes["asked"],
        asked_s=attributes["asked_s"],
        parentage=_parentage(attributes.get("descent")),
        state=state,
        stages=stages,
        begun=begun["times"] if begun.get("stage") == len(stages) else 0,
        fitness=tuple(trial.values) if state == "done" else None,
        partial=None if partial is None else tuple(partial),
        tasks=_scores(attributes) if state != "failed" and "split" in outcome else {},
        truncated=outcome.get("truncated", 0.0),
        seconds=outcome.get("seconds", {}),
        failure=Failure.model_validate(failure) if failure else None,
        worker=outcome.get("worker"),
        attempts=outcome.get("attempts", 0),
        told=outcome.get("told"),
        told_s=outcome.get("told_s"),
    )


def _parentage(recorded: Mapping[str, Any] | None) -> Parentage | None:
    return None if recorded is None else Parentage(recorded["version"], tuple(recorded["parents"]))


def _stages(attributes: Mapping[str, Any]) -> tuple[RecordedStage, ...]:
    recorded = {
        int(key.removeprefix(_STAGE)): RecordedStage(**facts)
        for key, facts in attributes.items()
        if key.startswith(_STAGE)
    }
    return tuple(recorded[number] for number in sorted(recorded))


def _scores(attributes: Mapping[str, Any]) -> dict[str, float]:
    return {
        key.removeprefix(_SCORE): value
        for key, value in attributes.items()
        if key.startswith(_SCORE)
    }


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
