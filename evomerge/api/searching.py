"""A search begun, gone on with, and read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.api.plain_data import as_in_a_file
from evomerge.api.same_study import (
    check_evaluator,
    check_sources,
    job_of,
    moved,
    note_what_scores_depend_on,
)
from evomerge.api.sitting import go_on, new_study, opened_workers
from evomerge.config import Job, read_job, resolve_job
from evomerge.results import Results
from evomerge.searching.checks import check_new_study, look_at_cluster
from evomerge.searching.detecting import basis
from evomerge.searching.finish import finished
from evomerge.searching.forecast import time
from evomerge.searching.job_check import check_job
from evomerge.searching.listener import Listener
from evomerge.searching.plan import Plan
from evomerge.study.comparison import Comparison
from evomerge.study.fetching import local_study
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study

__all__ = ["load", "resume", "search"]


def search(
    job: Job | Plan | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    listener: Listener | None = None,
    *,
    catalog: Path | str | None = None,
    origin: str | None = None,
) -> Results:
    """Search, choose the winner on the validation split and compare it on the holdout.

        results = evomerge.search("job.yaml")
        results = evomerge.search({"name": "mine", "sources": {...}, ...}, "runs/mine")

    Everything is on record as it goes: whatever stops this, `resume(out)` goes on.

    Args:
        job: a YAML file; or the same keys as a dictionary, whose paths are relative to the working
            directory; or a `Job`; or a `Plan`, of which nothing is built again.
        out: the study's folder, new or empty; None: `runs/NAME`, by the job's name.
        listener: hears of the search while it runs, and may stop it.
        catalog: a folder of catalogs, searched before all others.
        origin: what messages call the job; None: its file, or its name.

    Returns:
        What was found: the winner, all candidates with their scores, the comparison.

    Raises:
        UserError: the job cannot be run as written, or `out` holds something; nothing is written.
            Or candidates failed for one reason that is theirs or the job's; they are on record.
        InfrastructureError: no worker can be had or kept alive; `resume` goes on.
    """
    listener = listener or Listener()
    plan = _planned(job, origin, None if catalog is None else Path(catalog))
    out = Path("runs") / plan.job.name if out is None else Path(out)
    StudyFolder(out).check_new()
    listener.doing("checking the job")
    for warning in check_job(plan):
        listener.said(f"warning: {warning}")
    for remark in plan.remarks:
        listener.said(remark)
    check_new_study(plan.job, out, plan.origin)
    for warning in look_at_cluster(plan.job, plan.load, plan.origin):
        listener.said(f"warning: {warning}")
    if (took := time(plan)) is not None:
        listener.said(f"it will take {took.sentence} ({took.basis})")
    if plan.detectable:
        shown = ", ".join(shows.to_text(split) for split, shows in plan.detectable.items())
        listener.said(f"smallest difference: {shown} ({basis()})")
    with opened_workers(plan, listener) as workers, new_study(plan, out) as study:
        go_on(plan, study, workers, listener)
    return Results(out)


def resume(
    folder: Path | str, listener: Listener | None = None, *, job: Job | None = None
) -> Results:
    """Go on with a study after anything; a finished one is only read.

    Args:
        folder: the study's, or the URL of a study whose files are kept elsewhere.
        listener: hears of the search while it runs, and may stop it.
        job: the job as its file says it now: where the evaluator's files are and which cluster
            evaluates is taken from it, since both may be elsewhere than when the study began.

    Returns:
        What was found, as `search` does.

    Raises:
        UserError: there is no study, another process writes to it, the job is another one, a source
            has gone or has other weights, or the evaluator's tasks or data are not what they were;
            as long as nothing has been scored, they may change.
        RecordError: the optimizer does not ask what is on record.
    """
    listener = listener or Listener()
    listener.doing("reading the record")
    folder = local_study(folder)
    if (comparison := _finished(folder, job)) is not None:
        listener.compared(comparison)
        return Results(folder)
    with Study.open(folder, write=True) as study:
        listener.doing("checking the job")
        recorded = job_of(study)
        plan = Plan(recorded if job is None else moved(recorded, job, study.path))
        check_job(plan)
        study.reports.fetch()
        if any(candidate.stages or candidate.tasks for candidate in study.candidates()):
            check_evaluator(study, plan)
            check_sources(study, plan)
        else:  # nothing was scored yet, and perhaps they have changed because of that
            note_what_scores_depend_on(study, plan)
        with opened_workers(plan, listener) as workers:
            go_on(plan, study, workers, listener)
    return Results(folder)


def load(folder: Path | str) -> Results:
    """What a search has found, finished or not: candidates and scores of examples as pandas frames,
    winner, comparison, pictures. Nothing is changed, and no model is needed.

        results = evomerge.load("runs/demo")
        results.candidates.sort_values("fitness", ascending=False).head()

    `folder`: the study's, or the URL of a study whose files are kept elsewhere.

    Raises:
        UserError: there is no study in the folder, or its database cannot be reached.
        RecordError: the record is damaged.
    """
    return Results(local_study(folder))


def _finished(folder: Path | str, job: Job | None) -> Comparison | None:
    """What a study that needs nothing more has come to; it has to be of this job."""
    with Study.open(folder, write=False) as study:
        if job is not None:
            moved(job_of(study), job, study.path)
        return finished(study)


def _planned(
    job: Job | Plan | Mapping[str, Any] | Path | str, origin: str | None, catalog: Path | None
) -> Plan:
    match job:
        case Plan():
            return job
        case Job():
            return Plan(job, origin or "")
        case Mapping():
            origin = origin or "job"
            written = as_in_a_file(job)
            here = Path.cwd()
            resolved = resolve_job(written, folder=here, origin=origin, catalog_folder=catalog)
            return Plan(resolved, origin)
        case _:
            return Plan(read_job(Path(job), catalog_folder=catalog), origin or str(job))
