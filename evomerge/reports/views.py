"""Views of a study, from its record alone.

Each view is (label, arguments of its picture); neither models nor tasks are needed, though a recipe
is drawn to its whole depth only where the models' headers can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from evomerge.config import Job
from evomerge.errors import ConfigError, RecordError, UserError
from evomerge.evaluators.base import Report
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Observation, OptimizerConfig
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.recipe.tree import Segments
from evomerge.reports.archive import archive
from evomerge.reports.front import front_of
from evomerge.reports.lineage import lineage
from evomerge.reports.weights import weight_maps
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen, recorded
from evomerge.value import parse

__all__ = [
    "View",
    "archive_view",
    "convergence_view",
    "front_view",
    "lineage_view",
    "recipe_view",
    "usual_view",
    "views",
]

View = Literal["convergence", "front", "recipe", "path", "archive", "lineage"]


def views(study: Study) -> list[View]:
    """The views that a study has; each has its convergence and its recipes."""
    config = _population(str((study.job.get("optimizer") or {}).get("kind")))
    routed = (study.job.get("space") or {}).get("kind") == "dataflow"
    if routed or _is_stack(study, None):
        own: list[View] = ["convergence", "path"]
    else:
        own = ["convergence", "recipe"]
    if len(study.objectives) > 1:
        own.insert(1, "front")
    if config is None:
        return own
    return [*own, "archive", "lineage"] if config.keeps else [*own, "lineage"]


def usual_view(study: Study, candidate: int | None) -> View:
    """The view that suits a study best.

    Of data flow the path; where the optimizer crosses members the archive, or the lineage where
    there is none or a candidate is named; else the recipe of the candidate that is named, or the
    convergence.
    """
    known = views(study)
    if _is_stack(study, candidate) or "path" in known:
        return "path"
    if "lineage" in known:
        return "archive" if "archive" in known and candidate is None else "lineage"
    return "convergence" if candidate is None else "recipe"


def _is_stack(study: Study, number: int | None) -> bool:
    """Whether the recipe of a candidate, or of the winner, or of the first one, is a stack."""
    if number is None and (won := study.get("winner")):
        return bool(won["recipe"].get("kind") == "stack")
    candidates = study.candidates()
    shown = candidates[number or 0 :][:1] if (number or 0) >= 0 else []
    return any(candidate.recipe.get("kind") == "stack" for candidate in shown)


def convergence_view(study: Study) -> tuple[str, dict[str, Any]]:
    """All candidates in their order.

    Raises:
        UserError: nothing has been scored yet.
    """
    candidates = [
        candidate for candidate in study.candidates() if candidate.proposed_by != "finalist"
    ]
    if not any(candidate.fitness for candidate in candidates):
        raise _nothing_scored(study)
    return f"convergence over {len(candidates)} candidates", {
        "candidates": candidates,
        "objectives": study.objectives,
        "title": study.name,
    }


def front_view(study: Study) -> tuple[str, dict[str, Any]]:
    """The candidates that no other one beats in everything, among all that were scored.

    Raises:
        UserError: there is one objective, nothing has been scored yet, or all break a constraint.
    """
    if len(study.objectives) == 1:
        raise UserError(
            f"{study.path}: one objective has no front; several have (objective.objectives, also)"
        )
    scored = [candidate for candidate in study.candidates() if candidate.fitness]
    held = front_of(scored)
    if not scored:
        raise _nothing_scored(study)
    if held is None:
        raise UserError(f"{study.path}: every candidate breaks a constraint of the objective")
    return f"front of {len(held.members)}", {
        "candidates": scored,
        "members": held.members,
        "objectives": study.objectives,
        "title": study.name,
    }


def recipe_view(study: Study, number: int | None) -> tuple[str, dict[str, Any]]:
    """The weights of the winner or of a candidate, over depth and component.

    Raises:
        UserError: there is no such candidate, or nothing has been scored yet.
        RecipeError: its recipe is a source or a stack.
    """
    label, recipe = chosen(study, number)
    shown = weight_maps(recipe, f"{study.path}: {label}")
    return f"recipe of {label}", {"maps": shown, "title": f"{study.name}, {label}"}


def _nothing_scored(study: Study) -> UserError:
    return UserError(f"{study.path}: no candidate has been scored yet; evomerge resume goes on")


def archive_view(study: Study) -> tuple[str, dict[str, Any]]:
    """The members that the optimizer holds now, with their scores.

    Raises:
        UserError: it keeps no archive, nothing has been scored yet, or examples have no scores.
        RecordError: the scores of a candidate are missing.
    """
    job = _job(study)
    config = job.optimizer
    if not (isinstance(config, PopulationConfig) and config.keeps):
        raise UserError(
            f"{study.path}: the optimizer {config.kind} keeps no archive to draw;"
            f" {_crossing(keeping=True)} do"
        )
    objective = Objective(job.evaluator.weights, job.objective)
    evaluator = str(study.get("evaluator"))
    counts: dict[str, int] = {}

    def observed(candidate: Candidate) -> Observation | None:
        if candidate.fitness is None:
            return None
        report = _report(study, candidate, evaluator)
        counts.update(
            (name, len(report.tasks[name].examples))
            for name, weight in sorted(objective.weights.items())
            if weight > 0
        )
        return Observation(candidate.genome, candidate.fitness, *objective.scores(report))

    members = archive(study.candidates(), config, observed)
    if not members:
        raise _nothing_scored(study)
    return f"archive of {len(members)}", {
        "members": members,
        "tasks": counts,
        "title": study.name,
        "ranked_by": "shared fitness" if config.shares else "fitness",
    }


def lineage_view(study: Study, number: int | None) -> tuple[str, dict[str, Any]]:
    """A candidate and all that it descends from; without a number the winner's, if it was one of
    the search's candidates, else the best one's.

    Raises:
        UserError: the optimizer crosses no members, nothing has been scored yet, or there is no
            such candidate.
    """
    candidates = study.candidates()
    config = _job(study).optimizer
    breeds = isinstance(config, PopulationConfig)
    if not breeds and not any(candidate.parentage for candidate in candidates):
        raise UserError(
            f"{study.path}: the optimizer {config.kind} crosses no candidates, so that there is no"
            f" lineage to draw; {_crossing()} do"
        )
    if number is None:
        number = _best(study, candidates)
    if not 0 <= number < len(candidates):
        raise UserError(f"{study.path}: no candidate {number}; there are {len(candidates)}, from 0")
    family = lineage(candidates, number)
    shares = {}
    for ancestor in family:
        recipe = recorded(ancestor.candidate.recipe, study)
        if isinstance(recipe, Segments):
            shares[ancestor.candidate.number] = recipe.shares()
    return f"lineage of candidate {number}", {
        "family": family,
        "shares": shares,
        "title": f"{study.name}, candidate {number}",
        "sides": _sides(config),
        "random": _warm_up(config, candidates),
    }


def _job(study: Study) -> Job:
    return parse(Job, study.job, origin=f"{study.path}: job")


def _population(kind: str) -> type[PopulationConfig] | None:
    """The settings of this kind of optimizer, if it crosses members."""
    try:
        config = OPTIMIZERS.get(kind).config
    except ConfigError:
        return None
    return config if issubclass(config, PopulationConfig) else None


def _crossing(*, keeping: bool = False) -> str:
    """The optimizers that cross members; those of them that keep an archive."""
    names = [
        kind
        for kind in OPTIMIZERS.usable()
        if (config := _population(kind)) and (config.keeps or not keeping)
    ]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _report(study: Study, candidate: Candidate, evaluator: str) -> Report:
    report = study.reports.load(candidate.digest, evaluator, "search")
    if report is None:
        raise RecordError(
            f"candidate {candidate.number}: its scores are no longer in {study.path / 'examples'},"
            " and the archive is drawn from them; put the files back"
        )
    return report


def _best(study: Study, candidates: Sequence[Candidate]) -> int:
    """The number of the winner, or of the best so far."""
    label = str((study.get("winner") or {}).get("label"))
    for candidate in candidates:
        if label == f"candidate {candidate.number}":
            return candidate.number
    for best in study.best(1):
        return best.number
    raise _nothing_scored(study)


def _sides(config: OptimizerConfig) -> tuple[str, str]:
    """How first and second parents are drawn."""
    if not isinstance(config, PopulationConfig):
        return "first parent", "second parent"
    first, second = config.drawn()
    return f"first parent, drawn {first}", f"second parent, drawn {second}"


def _warm_up(config: OptimizerConfig, candidates: Sequence[Candidate]) -> frozenset[int]:
    """The numbers of the merges that came before the archive bred: both parents at random."""
    count = config.random_merges() if isinstance(config, PopulationConfig) else 0
    bred = sorted(
        (candidate.proposal, candidate.number)
        for candidate in candidates
        if candidate.proposal is not None
        and candidate.parentage is not None
        and candidate.parentage.parents
    )
    return frozenset(number for _, number in bred[:count])
