"""The verbs about scores: search, resume, load, evaluate; `evomerge.writers` has the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, ParamSpec

from evomerge.cluster.base import Executor, Task
from evomerge.cluster.config import InProcessConfig
from evomerge.cluster.model_executor import model_executor
from evomerge.config import Job, read_job, resolve_job
from evomerge.engines.config import EngineSettings
from evomerge.engines.factory import ENGINES, check_engine
from evomerge.errors import UserError
from evomerge.evaluators.base import EvaluatorConfig, Failure, Report, Split
from evomerge.evaluators.registry import read_evaluator
from evomerge.reading.files import is_there
from evomerge.recipe.named import recipe_named
from evomerge.recipe.tree import Recipe
from evomerge.reports.notes import write_notes
from evomerge.results import Results
from evomerge.searching.checks import (
    check_answering,
    check_loadable,
    check_new_study,
    look_at_cluster,
)
from evomerge.searching.detecting import Detection, basis
from evomerge.searching.ending import ENDED
from evomerge.searching.final_comparison import Scorer
from evomerge.searching.finish import finish, finished
from evomerge.searching.forecast import time
from evomerge.searching.job_check import check_job
from evomerge.searching.listener import Listener
from evomerge.searching.loop import Search
from evomerge.searching.plan import Plan
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.searching.references import measured
from evomerge.searching.telemetry import Telemetry
from evomerge.searching.under_test import Reports
from evomerge.study.comparison import Comparison
from evomerge.study.fetching import local_study
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.trust import require_trust
from evomerge.value import parse

__all__ = [
    "Listener",
    "evaluate",
    "job_of",
    "load",
    "moved",
    "resume",
    "search",
]

Heard = ParamSpec("Heard")

_MAY_MOVE = {"evaluator", "cluster", "storage", "artifacts", "reuse"}
"""What a job may say otherwise when its study is gone on with: where things are."""


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
    with _workers(plan, listener) as workers, _new_study(plan, out) as study:
        _go_on(plan, study, workers, listener)
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
            _check_evaluator(study, plan)
            _check_sources(study, plan)
        else:  # nothing was scored yet, and perhaps they have changed because of that
            _note_what_scores_depend_on(study, plan)
        with _workers(plan, listener) as workers:
            _go_on(plan, study, workers, listener)
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
            written = _as_in_a_file(job)
            here = Path.cwd()
            resolved = resolve_job(written, folder=here, origin=origin, catalog_folder=catalog)
            return Plan(resolved, origin)
        case _:
            return Plan(read_job(Path(job), catalog_folder=catalog), origin or str(job))


def _as_in_a_file(data: Any) -> Any:
    """Plain data, as a YAML file has it: paths as text, tuples as lists."""
    match data:
        case Mapping():
            return {key: _as_in_a_file(value) for key, value in data.items()}
        case list() | tuple():
            return [_as_in_a_file(value) for value in data]
        case PurePath():
            return str(data)
        case _:
            return data


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


def _note_what_scores_depend_on(study: Study, plan: Plan) -> None:
    study.put("evaluator", plan.evaluator)
    study.put("sources", plan.fingerprints)
    study.put("test_sets", list(plan.job.evaluator.test_sets()))


def _check_evaluator(study: Study, plan: Plan) -> None:
    """The evaluator is what it was when the study began."""
    if study.get("evaluator") not in (None, plan.evaluator):
        raise UserError(
            f"{study.path}: the evaluator's tasks, data or packages have changed since the study"
            " began, so scores could not be compared; restore them or begin anew"
        )


def _check_sources(study: Study, plan: Plan) -> None:
    """The sources have the weights that they had when the study began."""
    before = study.get("sources") or {}
    for name, now in plan.fingerprints.items():
        if before.get(name, now) != now:
            raise UserError(
                f"{study.path}: the weights of the source {name!r} have changed since the study"
                " began, so its recipes would build other models; restore them or begin anew"
            )


def evaluate(
    model: Recipe | Path | str,
    evaluator: EvaluatorConfig | Mapping[str, Any] | Path | str,
    *,
    split: Split = "holdout",
    engine: EngineSettings | Mapping[str, Any] | str = "auto",
    catalog: Path | str | None = None,
    origin: str | None = None,
) -> Report:
    """Score one model or one recipe, in this process.

        report = evomerge.evaluate("./model", "gsm8k")
        report.tasks["gsm8k"].value

    Args:
        model: a folder, `owner/name` or `owner/name@revision` on the hub, a recipe's file, or a
            recipe.
        evaluator: a name in the catalog, a YAML file, the same keys as a dictionary (paths are
            relative to the working directory), or its settings.
        split: which of the evaluator's splits.
        engine: what runs the model: `auto`, `transformers`, `vllm`, or settings with a `kind`.
        catalog: a folder of catalogs, searched before all others.
        origin: what messages call the model; None: as it is given.

    Returns:
        The score of each task and of each example.

    Raises:
        UserError: the model or the evaluator cannot be used.
        InfrastructureError: something around the evaluation broke.
    """
    if isinstance(model, Path | str):
        origin, model = origin or str(model), recipe_named(str(model))
    if not isinstance(evaluator, EvaluatorConfig):
        evaluator = read_evaluator(
            _as_in_a_file(evaluator),
            folder=Path.cwd(),
            origin="evaluator" if isinstance(evaluator, Mapping) else str(evaluator),
            catalog_folder=None if catalog is None else Path(catalog),
        )
    settings: EngineSettings = ENGINES.config(engine, origin="engine")
    require_trust((*evaluator.code, *settings.code))
    evaluator.check_data()
    plan = RecipePlan(model, origin or "recipe")
    plan.check()
    plan.check_engine()
    donor_files = plan.headers.inventory(plan.donor)
    check_answering(evaluator, donor_files)
    check_engine(settings, plan.capacity, donor_files.config)
    check_loadable(settings, donor_files)
    here = InProcessConfig(max_attempts=1)
    worker = model_executor(here, settings, evaluator, plan.donor, plan.capacity)
    worker.submit(Task("model", model, split))
    outcome = worker.wait(0)[0].outcome
    if isinstance(outcome, Failure):
        raise outcome.as_error(outcome.message)
    return outcome


def _go_on(plan: Plan, study: Study, workers: Executor, listener: Listener) -> None:
    study.reports.borrow(plan.lenders(study.path).load)
    telemetry = Telemetry(study, workers)
    objective = plan.objective
    if objective.models:
        listener.doing("scoring what the objective refers to")
        scorer = Scorer(study, workers, plan.evaluator)
        objective = measured(plan, scorer, ["search"])
    listener.started(plan.job, study, workers)
    detection = Detection(
        study,
        plan.job,
        Reports(study, plan.evaluator, plan.sizes),
        len(plan.landmarks),
        listener.said,
    )
    Search(
        study,
        plan.space,
        plan.optimizer,
        workers,
        objective,
        evaluator=plan.evaluator,
        budget=plan.job.budget,
        landmarks=plan.landmarks,
        schedule=plan.schedule,
        sizes=plan.sizes,
        tell=_each(listener.progressed, telemetry.progressed),
        told=_each(listener.told, telemetry.told, detection.told),
        stop=lambda: listener.stopped,
    ).run()
    listener.said(f"the search is over: {study.get(ENDED)['said']}")
    comparison = finish(
        plan,
        study,
        workers,
        _each(listener.scored, telemetry.scored),
        objective=objective,
        doing=listener.doing,
    )
    listener.doing("writing notes for optuna-dashboard")
    write_notes(study, comparison)
    listener.compared(comparison)


def _each(*hearers: Callable[Heard, None]) -> Callable[Heard, None]:
    """Calls one after the other."""

    def hear(*what: Heard.args, **named: Heard.kwargs) -> None:
        for hearer in hearers:
            hearer(*what, **named)

    return hear


@contextmanager
def _new_study(plan: Plan, out: Path) -> Iterator[Study]:
    """A new study, which is gone again where the user's error ends the search before any candidate
    came to an end."""
    _ = plan.evaluator, plan.fingerprints  # what they read may not be there
    was_there = is_there(out)
    with Study.create(
        out,
        name=plan.job.name,
        job=plan.job.model_dump(mode="json"),
        objectives=plan.objective.names,
        genes=plan.space.genes,
        storage_url=plan.job.storage,
        artifacts=plan.job.artifacts,
    ) as study:
        try:
            _note_what_scores_depend_on(study, plan)
            yield study
        except UserError:
            if all(candidate.told is None for candidate in study.candidates()):
                study.discard(keep_folder=was_there)
            raise


@contextmanager
def _workers(plan: Plan, listener: Listener) -> Iterator[Executor]:
    """The job's workers, closed in the end whatever happens."""
    listener.doing(plan.job.cluster.opening)
    workers = plan.executor()
    try:
        yield workers
    finally:
        listener.doing("closing the workers")
        workers.close()
