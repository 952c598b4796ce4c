"""The verbs that score something: search, resume, evaluate; `evomerge.writers` has the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evomerge.cluster.base import Executor, Task
from evomerge.cluster.config import InProcessConfig
from evomerge.config import Job, read_job
from evomerge.engines.config import EngineSettings
from evomerge.errors import UserError
from evomerge.evaluators.base import EvaluatorConfig, Failure, Report, Split
from evomerge.recipe.tree import Recipe
from evomerge.searching.checks import check_new_study
from evomerge.searching.ending import ENDED
from evomerge.searching.finish import finish, finished
from evomerge.searching.listener import Listener
from evomerge.searching.loop import Search
from evomerge.searching.plan import Plan, executor
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.study.comparison import Comparison
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.trust import require_trust
from evomerge.value import parse

__all__ = [
    "Listener",
    "evaluate",
    "job_of",
    "resume",
    "search",
]


def search(
    job: Job | Plan | Path | str,
    out: Path | str,
    listener: Listener | None = None,
    *,
    origin: str | None = None,
) -> Comparison:
    """Search, choose the winner on the validation split and compare it on the holdout.

    The study is kept in the folder `out`; whatever stops this, `resume(out)` goes on. Of a `Plan`,
    which serves one search, nothing is built again. `origin` is what messages call the job: its
    file, or its name.

    Raises:
        UserError: the job cannot be run as written, or `out` holds something; nothing is written.
            Or candidates failed for one reason that is theirs or the job's; they are on record.
    """
    listener, out = listener or Listener(), Path(out)
    StudyFolder(out).check_new()
    listener.doing("checking the job")
    plan = job if isinstance(job, Plan) else _planned(job, origin)
    for warning in plan.check():
        listener.said(f"warning: {warning}")
    for remark in plan.remarks:
        listener.said(remark)
    check_new_study(plan.job, out, plan.origin)
    with _workers(plan, listener) as workers, _new_study(plan, out) as study:
        return _go_on(plan, study, workers, listener)


def resume(folder: Path | str, listener: Listener | None = None) -> Comparison:
    """Go on with a study after anything; of a finished one the comparison is read, and that is all.

    Raises:
        UserError: there is no study, another process writes to it, a source has gone or has other
            weights, or the evaluator's tasks or data are not what they were; as long as nothing
            has been scored, they may change.
        RecordError: the optimizer does not ask what is on record.
    """
    listener = listener or Listener()
    listener.doing("reading the record")
    if (comparison := _finished(folder)) is not None:
        listener.compared(comparison)
        return comparison
    with Study.open(folder, write=True) as study:
        listener.doing("checking the job")
        plan = Plan(job_of(study))
        plan.check()
        if any(candidate.stages or candidate.tasks for candidate in study.candidates()):
            _check_evaluator(study, plan)
            _check_sources(study, plan)
        else:  # nothing was scored yet, and perhaps they have changed because of that
            _note_what_scores_depend_on(study, plan)
        with _workers(plan, listener) as workers:
            return _go_on(plan, study, workers, listener)


def _finished(folder: Path | str) -> Comparison | None:
    """What a study that needs nothing more has come to."""
    with Study.open(folder, write=False) as study:
        return finished(study)


def _planned(job: Job | Path | str, origin: str | None) -> Plan:
    if isinstance(job, Job):
        return Plan(job, origin or "")
    return Plan(read_job(Path(job)), origin or str(job))


def job_of(study: Study) -> Job:
    """The resolved job that a study was made from."""
    return parse(Job, study.job, origin=f"{study.path}: job")


def _note_what_scores_depend_on(study: Study, plan: Plan) -> None:
    study.put("evaluator", plan.evaluator)
    study.put("sources", plan.fingerprints)


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
    recipe: Recipe,
    evaluator: EvaluatorConfig,
    *,
    split: Split,
    engine: EngineSettings,
    origin: str = "recipe",
) -> Report:
    """Score one recipe (a model is the recipe that is its source) in this process.

    Raises:
        UserError: the recipe or the evaluator cannot be used.
    """
    require_trust(evaluator.code)
    plan = RecipePlan(recipe, origin)
    plan.check()
    plan.check_engine()
    here = InProcessConfig(max_attempts=1)
    worker = executor(here, engine, evaluator, plan.donor, plan.capacity)
    worker.submit(Task("model", recipe, split))
    outcome = worker.wait(0)[0].outcome
    if isinstance(outcome, Failure):
        raise outcome.as_error(outcome.message)
    return outcome


def _go_on(plan: Plan, study: Study, workers: Executor, listener: Listener) -> Comparison:
    listener.started(plan.job, study, workers)
    Search(
        study,
        plan.space,
        plan.optimizer,
        workers,
        plan.objective,
        evaluator=plan.evaluator,
        budget=plan.job.budget,
        landmarks=plan.landmarks,
        schedule=plan.schedule,
        sizes=plan.sizes,
        tell=listener.progressed,
        told=listener.told,
        stop=lambda: listener.stopped,
    ).run()
    listener.said(f"the search is over: {study.get(ENDED)['said']}")
    comparison = finish(plan, study, workers, listener.scored)
    listener.compared(comparison)
    return comparison


@contextmanager
def _new_study(plan: Plan, out: Path) -> Iterator[Study]:
    """A new study, which is gone again where the user's error ends the search before any candidate
    came to an end."""
    _ = plan.evaluator, plan.fingerprints  # what they read may not be there
    was_there = out.exists()
    with Study.create(
        out,
        name=plan.job.name,
        job=plan.job.model_dump(mode="json"),
        objectives=plan.objective.names,
        genes=plan.space.genes,
        storage_url=plan.job.storage,
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
        workers.close()
