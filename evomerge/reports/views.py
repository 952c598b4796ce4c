"""Views of a study whose optimizer crosses members, from its record alone.

Each view is (label, arguments of its picture); neither models nor tasks are needed.
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
from evomerge.reports.lineage import lineage
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded
from evomerge.value import parse

__all__ = ["View", "archive_view", "lineage_view", "usual_view"]

View = Literal["path", "archive", "lineage"]


def usual_view(study: Study, candidate: int | None) -> View:
    """The view that suits a study.

    The path for data flow and where the optimizer crosses no members; else the archive, or the
    lineage where there is no archive or a candidate is named.
    """
    space, optimizer = ((study.job.get(key) or {}).get("kind") for key in ("space", "optimizer"))
    config = _population(str(optimizer))
    if space == "dataflow" or config is None:
        return "path"
    return "archive" if config.keeps and candidate is None else "lineage"


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
        raise UserError(f"{study.path}: no candidate has been scored yet; evomerge resume goes on")
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
    report = study.load_report(candidate.digest, evaluator, "search")
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
    raise UserError(f"{study.path}: no candidate has been scored yet; evomerge resume goes on")


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
