"""An Optuna trial as the candidate that it stands for.

What a stranger's database or journal holds may be anything. Each attribute is held here, once, to
the type and length that it was written with (`evomerge.study.trial`), so that whatever a candidate
has can be counted, compared and printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, Strict, TypeAdapter, ValidationError

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Split
from evomerge.optimizers.base import Parentage
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene
from evomerge.study.candidate import Candidate, Proposer, RecordedStage, State
from evomerge.study.trial import OUTCOME, SCORE, STAGE

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["to_candidate"]

_Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Whole = Annotated[int, Strict(), Field(ge=0)]
_Text = Annotated[str, Strict()]
_Entry = _Number | _Text


class _Descent(BaseModel):
    version: _Whole
    parents: list[Annotated[int, Strict()]]


class _Begun(BaseModel):
    stage: _Whole
    times: _Whole


class _Stage(BaseModel):
    part: _Text
    split: Split
    scored: _Whole
    worker: _Text
    attempts: _Whole
    ended: _Whole
    ended_s: _Number


class _Outcome(BaseModel):
    told: _Whole
    told_s: _Number
    worker: _Text
    attempts: _Whole
    split: Split | None = None
    truncated: _Number = 0.0
    seconds: dict[_Text, _Number] = Field(default_factory=dict)
    weights: _Text | None = None
    failure: Failure | None = None
    partial: list[_Number] | None = None
    estimated: list[_Number] | None = None
    why: _Text | None = None
    violations: tuple[_Number, ...] = ()


class _Fitness(BaseModel):
    fitness: list[_Number]


class _Attributes(BaseModel):
    """Of a trial; others are its scores and stages, and none of evomerge's."""

    origin: Proposer
    asked: _Whole
    asked_s: _Number
    digest: _Text
    genome: list[_Entry]
    recipe: dict[_Text, Any]
    label: _Text | None = None
    question: _Whole | None = None
    descent: _Descent | None = None
    begun: _Begun | None = None
    paused: Annotated[bool, Strict()] = False
    outcome: _Outcome | None = None


_STAGES = TypeAdapter(dict[int, _Stage])
_SCORES = TypeAdapter(dict[str, _Number])

_STATES: dict[str, State] = {
    "RUNNING": "running",
    "COMPLETE": "done",
    "PRUNED": "stopped",
    "FAIL": "failed",
}


def to_candidate(genes: Sequence[Gene], objectives: int, trial: FrozenTrial) -> Candidate:
    """What a trial says about its candidate.

    `objectives`: how many numbers a fitness has.

    Raises:
        RecordError: the trial was made or closed by something other than evomerge, or it holds what
            evomerge does not write.
    """
    try:
        return _read(genes, objectives, trial)
    except ValidationError as problem:
        fault = problem.errors(include_url=False)[0]
        place = ".".join(str(key) for key in fault["loc"])
        why = f"{place}: {fault['msg']}" if place else fault["msg"]
    except (LookupError, TypeError, ValueError) as problem:
        why = f"{problem}"
    raise RecordError(
        f"candidate {trial.number}: its record is damaged ({why}); put it back from a copy"
    )


def _read(genes: Sequence[Gene], objectives: int, trial: FrozenTrial) -> Candidate:
    state = _STATES.get(trial.state.name)
    if state is None or "asked" not in trial.user_attrs:
        raise RecordError(f"trial {trial.number} is not a candidate that evomerge recorded")
    if state != "running" and OUTCOME not in trial.user_attrs:
        raise RecordError(f"candidate {trial.number} was closed by something other than evomerge")
    attributes = trial.user_attrs
    if state == "running":  # an outcome of a tell that was cut off does not count
        attributes = {key: held for key, held in attributes.items() if key != OUTCOME}
    noted = _Attributes.model_validate(attributes)
    if state == "running" and noted.paused:
        state = "paused"
    stages, begun, descent = _stages(trial.user_attrs), noted.begun, noted.descent
    asked = Candidate(
        number=trial.number,
        proposed_by=noted.origin,
        label=noted.label,
        proposal=noted.question,
        genome=tuple(noted.genome),
        values=_values(genes, noted.genome, trial.params),
        recipe=noted.recipe,
        digest=noted.digest,
        asked=noted.asked,
        asked_s=noted.asked_s,
        parentage=None if descent is None else Parentage(descent.version, tuple(descent.parents)),
        state=state,
        stages=stages,
        begun=begun.times if begun is not None and begun.stage == len(stages) else 0,
    )
    outcome = noted.outcome
    if outcome is None:
        return asked
    return replace(
        asked,
        fitness=_fitness(trial.values, objectives) if state == "done" else None,
        partial=None if outcome.partial is None else _fitness(outcome.partial, objectives),
        estimated=None if outcome.estimated is None else _fitness(outcome.estimated, objectives),
        why=outcome.why,
        violations=outcome.violations,
        tasks=_scores(trial.user_attrs) if state != "failed" and outcome.split else {},
        truncated=outcome.truncated,
        seconds=outcome.seconds,
        weights=outcome.weights,
        failure=outcome.failure,
        worker=outcome.worker,
        attempts=outcome.attempts,
        told=outcome.told,
        told_s=outcome.told_s,
    )


def _values(
    genes: Sequence[Gene], genome: Sequence[float | str], params: Mapping[str, Any]
) -> Mapping[str, float | str]:
    """Gene name -> value in the gene's own unit."""
    if len(genome) != len(genes):
        raise ValueError(f"genome: {len(genes)} genes need as many entries, got {len(genome)}")
    values = {}
    for gene, entry in zip(genes, genome, strict=True):
        value = params.get(gene.name) if isinstance(gene, FloatGene | ChoiceGene) else entry
        wanted = (int, float) if isinstance(gene, FloatGene) else str
        if not isinstance(entry, wanted) or not isinstance(value, wanted):
            raise ValueError(f"gene {gene.name!r}: it has an entry or a value of another type")
        values[gene.name] = value
    return values


def _stages(attributes: Mapping[str, Any]) -> tuple[RecordedStage, ...]:
    named = {key: facts for key, facts in attributes.items() if key.startswith(STAGE)}
    if not named:
        return ()
    recorded = _STAGES.validate_python(
        {key.removeprefix(STAGE): facts for key, facts in named.items()}
    )
    if sorted(recorded) != list(range(len(named))):
        raise ValueError(f"stages: {sorted(named)}, and each of 0 to the last is wanted once")
    return tuple(RecordedStage(**dict(recorded[number])) for number in sorted(recorded))


def _scores(attributes: Mapping[str, Any]) -> dict[str, float]:
    named = {key: value for key, value in attributes.items() if key.startswith(SCORE)}
    return {key.removeprefix(SCORE): value for key, value in _SCORES.validate_python(named).items()}


def _fitness(values: Sequence[float] | None, objectives: int) -> tuple[float, ...]:
    fitness = _Fitness.model_validate({"fitness": values}).fitness
    if len(fitness) != objectives:
        raise ValueError(f"fitness: it has {len(fitness)} numbers, and the study {objectives}")
    return tuple(fitness)
