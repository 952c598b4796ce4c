"""The verbs that score something: search, resume, evaluate; `evomerge.writers` has the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evomerge.cluster.base import Executor, Task
from evomerge.cluster.config import InProcessConfig
from evomerge.config import Job, read_job
from evomerge.engines.config import EngineConfig
from evomerge.errors import InfrastructureError, UserError
from evomerge.evaluators.base import EvaluatorConfig, Failure, Report, Split
from evomerge.models.blueprint import donor
from evomerge.recipe.digest import plain
from evomerge.recipe.tree import Recipe
from evomerge.searching import plan
from evomerge.searching.final_comparison import Finals, Scorer, Winner
from evomerge.searching.loop import Progress, Search
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded
from evomerge.trust import require_trust
from evomerge.value import parse

__all__ = [
    "Listener",
    "evaluate",
    "job_of",
    "resume",
    "search",
]


class Listener:
    """What hears of a search; every method does nothing unless it is overridden."""

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        """The workers are being started; the search begins."""

    def progressed(self, progress: Progress) -> None:
        """Called at least every half second while the search runs."""

    def said(self, message: str) -> None:
        """One line about what comes after the search, or a warning before it."""

    def compared(self, comparison: Comparison) -> None:
        """The holdout has been scored."""


def search(
    job: Job | Path | str,
    out: Path | str,
    listener: Listener | None = None,
    *,
    origin: str | None = None,
) -> Comparison:
    """Search, choose the winner on the validation split and compare it on the holdout.

    The study is kept in the folder `out`; whatever stops this, `resume(out)` goes on. `origin` is
    what messages call the job: its file, or its name.

    Raises:
        UserError: the job cannot be run as written, or `out` holds something; nothing is written.
    """
    listener, out = listener or Listener(), Path(out)
    if not isinstance(job, Job):
        origin, job = origin or str(job), read_job(Path(job))
    for warning in plan.check(job, origin):
        listener.said(f"warning: {warning}")
    StudyFolder(out).check_new()
    space = plan.space(job)
    with (
        _executor(job) as executor,
        Study.create(
            out,
            name=job.name,
            job=job.model_dump(mode="json"),
            objectives=plan.objective(job).names,
            genes=space.genes,
            storage_url=job.storage,
        ) as study,
    ):
        study.put("evaluator", job.evaluator.digest())
        study.put("sources", plan.fingerprints(job))
        return _go_on(job, study, executor, listener)


def resume(folder: Path | str, listener: Listener | None = None) -> Comparison:
    """Go on with a study after anything; a finished one is only compared again from its record.

    Raises:
        UserError: there is no study, another process writes to it, a source has gone or has other
            weights, or the evaluator's tasks or data are not what they were.
        RecordError: the optimizer does not ask what is on record.
    """
    listener = listener or Listener()
    with Study.open(folder, write=True) as study:
        job = job_of(study)
        plan.check(job)
        if study.get("evaluator") not in (None, job.evaluator.digest()):
            raise UserError(
                f"{study.path}: the evaluator's tasks, data or packages have changed since the"
                " study began, so scores could not be compared; restore them or begin anew"
            )
        _check_sources(study, job)
        with _executor(job) as executor:
            return _go_on(job, study, executor, listener)


def job_of(study: Study) -> Job:
    """The resolved job that a study was made from."""
    return parse(Job, study.job, origin=f"{study.path}: job")


def _check_sources(study: Study, job: Job) -> None:
    """The sources have the weights that they had when the study began."""
    before = study.get("sources") or {}
    for name, now in plan.fingerprints(job).items():
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
    engine: EngineConfig,
    origin: str = "recipe",
) -> Report:
    """Score one recipe (a model is the recipe that is its source) in this process.

    Raises:
        UserError: the recipe or the evaluator cannot be used.
    """
    require_trust(evaluator.code)
    plan.check_recipe(recipe, origin)
    plan.check_engine_compatibility(recipe, donor(recipe), origin=origin)
    here = InProcessConfig(max_attempts=1)
    capacity = plan.capacity_for(recipe, origin)
    executor = plan.executor(here, engine, evaluator, donor(recipe), capacity)
    executor.submit(Task("model", recipe, split))
    outcome = executor.wait(0)[0].outcome
    if isinstance(outcome, Failure):
        raise (
            UserError(outcome.message)
            if outcome.cause == "candidate"
            else InfrastructureError(outcome.message)
        )
    return outcome


def _go_on(job: Job, study: Study, executor: Executor, listener: Listener) -> Comparison:
    space = plan.space(job)
    objective, evaluator = plan.objective(job), job.evaluator.digest()
    optimizer = plan.optimizer(job, space)
    listener.started(job, study, executor)
    Search(
        study,
        space,
        optimizer,
        executor,
        objective,
        evaluator=evaluator,
        budget=job.budget,
        landmarks=plan.landmarks(job),
        tell=listener.progressed,
    ).run()
    finals = Finals(Scorer(study, executor, evaluator, listener.said), objective)
    if chosen := study.get("winner"):
        best = Winner(chosen["label"], recorded(chosen["recipe"], study), chosen["fitness"])
    else:
        finalists = _finalists(job, study)
        mean = optimizer.recommend() if job.select.recommendation else None
        if mean is not None:
            finalists["recommendation"] = space.recipe(mean)
        best = finals.choose(finalists)
        study.put(
            "winner",
            {"label": best.label, "recipe": plain(best.recipe), "fitness": best.fitness},
        )
    reports = finals.holdout(best, plan.baselines(job))
    comparison = Comparison.of(reports, winner="evolved")
    study.put("comparison", comparison.to_json())
    listener.compared(comparison)
    return comparison


def _finalists(job: Job, study: Study) -> dict[str, Recipe]:
    """The best candidates of the search, each recipe once."""
    found: dict[str, Candidate] = {}
    for one in study.best(len(study.candidates())):
        if len(found) < job.select.finalists:
            found.setdefault(one.digest, one)
    return {f"candidate {one.number}": recorded(one.recipe, study) for one in found.values()}


@contextmanager
def _executor(job: Job) -> Iterator[Executor]:
    start_from, capacity = plan.skeleton(job), plan.capacity(job)
    executor = plan.executor(job.cluster, job.engine, job.evaluator, start_from, capacity)
    try:
        yield executor
    finally:
        executor.close()
