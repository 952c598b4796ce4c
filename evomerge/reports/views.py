"""What can be seen of a study whose optimizer crosses members, gathered from its record.

Each view is (label, what its picture takes by name); neither models nor tasks need be at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from evomerge.config import Job
from evomerge.errors import RecordError, UserError
from evomerge.evaluators.base import Report
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Observation
from evomerge.optimizers.populations.archive_replay import KEEPERS
from evomerge.optimizers.populations.cycle_qd import CycleQdConfig
from evomerge.optimizers.populations.genetic_merge import GeneticMergeConfig
from evomerge.optimizers.populations.map_elites import MapElitesConfig
from evomerge.optimizers.populations.natural_niches import NaturalNichesConfig
from evomerge.optimizers.populations.random_merge import RandomMergeConfig
from evomerge.optimizers.registry import OptimizerConfig
from evomerge.recipe.tree import Segments
from evomerge.reports.archive import archive
from evomerge.reports.lineage import lineage
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded
from evomerge.value import parse

__all__ = ["View", "archive_view", "lineage_view", "usual_view"]

View = Literal["path", "archive", "lineage"]

BREEDERS = (*KEEPERS, RandomMergeConfig)
_BREEDERS = "natural_niches, genetic_merge, map_elites and cycle_qd"


def usual_view(study: Study, candidate: int | None) -> View:
    """The path of a data-flow study and of one whose optimizer crosses nobody; else the archive,
    and the lineage where none is kept or a candidate is named."""
    space, optimizer = ((study.job.get(key) or {}).get("kind") for key in ("space", "optimizer"))
    keeps, breeds = (
        optimizer in [config.model_fields["kind"].default for config in configs]
        for configs in (KEEPERS, BREEDERS)
    )
    if space == "dataflow" or not breeds:
        return "path"
    return "archive" if keeps and candidate is None else "lineage"


def archive_view(study: Study) -> tuple[str, dict[str, Any]]:
    """The members that the optimizer holds now, with their scores.

    Raises:
        UserError: it keeps nobody, nothing has been scored yet, or there are no scores of examples.
        RecordError: the scores of a candidate have gone.
    """
    job = _job(study)
    config = job.optimizer
    if not isinstance(config, KEEPERS):
        raise UserError(
            f"{study.path}: the optimizer {config.kind} keeps no archive to draw; {_BREEDERS} do"
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
    shares = isinstance(config, NaturalNichesConfig)
    return f"archive of {len(members)}", {
        "members": members,
        "tasks": counts,
        "title": study.name,
        "ranked_by": "shared fitness" if shares else "fitness",
    }


def lineage_view(study: Study, number: int | None) -> tuple[str, dict[str, Any]]:
    """A candidate and all that it descends from; without a number the winner's, if it was one of
    the search's candidates, else the best one's.

    Raises:
        UserError: the optimizer crosses nobody, nothing has been scored yet, or there is no such
            candidate.
    """
    candidates = study.candidates()
    config = _job(study).optimizer
    if not isinstance(config, BREEDERS) and not any(one.parentage for one in candidates):
        raise UserError(
            f"{study.path}: the optimizer {config.kind} crosses no candidates, so that there is no"
            f" lineage to draw; {_BREEDERS} do, and random_merge"
        )
    if number is None:
        number = _best(study, candidates)
    if not 0 <= number < len(candidates):
        raise UserError(f"{study.path}: no candidate {number}; there are {len(candidates)}, from 0")
    family = lineage(candidates, number)
    shares = {}
    for one in family:
        recipe = recorded(one.candidate.recipe, study)
        if isinstance(recipe, Segments):
            shares[one.candidate.number] = recipe.shares()
    return f"lineage of candidate {number}", {
        "family": family,
        "shares": shares,
        "title": f"{study.name}, candidate {number}",
        "sides": _sides(config),
        "random": _warm_up(config, candidates),
    }


def _job(study: Study) -> Job:
    return parse(Job, study.job, origin=f"{study.path}: job")


def _report(study: Study, candidate: Candidate, evaluator: str) -> Report:
    found = study.load_report(candidate.digest, evaluator, "search")
    if found is None:
        raise RecordError(
            f"candidate {candidate.number}: its scores are no longer in {study.path / 'examples'},"
            " and the archive is drawn from them; put the files back"
        )
    return found


def _best(study: Study, candidates: Sequence[Candidate]) -> int:
    """The number of the winner, or of the best so far."""
    label = str((study.get("winner") or {}).get("label"))
    for one in candidates:
        if label == f"candidate {one.number}":
            return one.number
    for best in study.best(1):
        return best.number
    raise UserError(f"{study.path}: no candidate has been scored yet; evomerge resume goes on")


def _sides(config: OptimizerConfig) -> tuple[str, str]:
    """How first and second parents are drawn."""
    match config:
        case NaturalNichesConfig(attraction=True):
            drawn = ("by shared fitness", "by attraction to the first")
        case NaturalNichesConfig():
            drawn = ("by shared fitness",) * 2
        case GeneticMergeConfig() | MapElitesConfig(draw="quality"):
            drawn = ("by fitness",) * 2
        case CycleQdConfig(draw="elite"):
            drawn = ("by the tasks' scores",) * 2
        case MapElitesConfig() | CycleQdConfig() | RandomMergeConfig():
            drawn = ("at random",) * 2
        case _:
            return "first parent", "second parent"
    return f"first parent, drawn {drawn[0]}", f"second parent, drawn {drawn[1]}"


def _warm_up(config: OptimizerConfig, candidates: Sequence[Candidate]) -> frozenset[int]:
    """The numbers of the merges that came before the archive bred: both parents at random."""
    count = getattr(config, "warm_up", 0)
    bred = sorted(
        (one.proposal, one.number)
        for one in candidates
        if one.proposal is not None and one.parentage is not None and one.parentage.parents
    )
    return frozenset(number for _, number in bred[:count])
