"""What a study that is gone on with must share with its beginning.

Its job but for where things are, and all that scores depend on: tasks, data and weights.
"""

from __future__ import annotations

from pathlib import Path

from evomerge.config import Job
from evomerge.errors import UserError
from evomerge.searching.plan import Plan
from evomerge.study.record import Study
from evomerge.value import parse

__all__ = ["check_evaluator", "check_sources", "job_of", "moved", "note_what_scores_depend_on"]

_MAY_MOVE = {"evaluator", "cluster", "storage", "artifacts", "reuse", "earlier_test_sets"}
"""What a job may say otherwise when its study is gone on with: where things are, and what older
versions did not note."""


def job_of(study: Study) -> Job:
    """The resolved job that a study was made from."""
    return parse(Job, study.job, origin=f"{study.path}: job")


def moved(recorded: Job, given: Job, study: Path) -> Job:
    """The job of a study, whose evaluator's files, cluster and lending studies are where `given`
    says.

    Raises:
        UserError: anything else is not what the study began with.
    """
    for key in Job.model_fields:
        if key not in _MAY_MOVE and getattr(recorded, key) != getattr(given, key):
            raise UserError(
                f"{given.name}: {key} is not what the study began with ({study}); begin a new one"
                f" under another name, or `evomerge resume {study}` goes on with what it was"
            )
    return recorded.model_copy(
        update={key: getattr(given, key) for key in ("evaluator", "cluster", "reuse")}
    )


def note_what_scores_depend_on(study: Study, plan: Plan) -> None:
    """Put on record what `check_evaluator` and `check_sources` compare with."""
    study.put("evaluator", plan.evaluator)
    study.put("sources", plan.fingerprints)
    study.put("test_sets", list(plan.job.test_sets))


def check_evaluator(study: Study, plan: Plan) -> None:
    """The evaluator is what it was when the study began.

    Raises:
        UserError: it is another.
    """
    if study.get("evaluator") not in (None, plan.evaluator):
        raise UserError(
            f"{study.path}: the evaluator's tasks, data or packages have changed since the study"
            " began, so scores could not be compared; restore them or begin anew"
        )


def check_sources(study: Study, plan: Plan) -> None:
    """The sources have the weights that they had when the study began.

    Raises:
        UserError: one has others.
    """
    before = study.get("sources") or {}
    for name, now in plan.fingerprints.items():
        if before.get(name, now) != now:
            raise UserError(
                f"{study.path}: the weights of the source {name!r} have changed since the study"
                " began, so its recipes would build other models; restore them or begin anew"
            )
