"""One sitting of a search, begun or gone on with: from what is on record to the comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

from evomerge.api.same_study import note_what_scores_depend_on
from evomerge.cluster.base import Executor
from evomerge.errors import UserError
from evomerge.reading.files import is_there
from evomerge.reports.notes import write_notes
from evomerge.searching.detecting import Detection
from evomerge.searching.ending import ENDED
from evomerge.searching.final_comparison import Scorer
from evomerge.searching.finish import finish
from evomerge.searching.listener import Listener
from evomerge.searching.loop import Search
from evomerge.searching.plan import Plan
from evomerge.searching.references import measured
from evomerge.searching.telemetry import Telemetry
from evomerge.searching.under_test import Reports
from evomerge.study.record import Study

__all__ = ["go_on", "new_study", "opened_workers"]

Heard = ParamSpec("Heard")


def go_on(plan: Plan, study: Study, workers: Executor, listener: Listener) -> None:
    """Search on from what the study has on record, choose the winner and compare it.

    Raises:
        UserError: candidates failed for one reason that is theirs or the job's.
        RecordError: the optimizer does not ask what is on record.
        InfrastructureError: no worker can be had or kept alive.
    """
    study.reports.borrow(plan.lenders(study.path))
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
def new_study(plan: Plan, out: Path) -> Iterator[Study]:
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
            note_what_scores_depend_on(study, plan)
            yield study
        except UserError:
            if all(candidate.told is None for candidate in study.candidates()):
                study.discard(keep_folder=was_there)
            raise


@contextmanager
def opened_workers(plan: Plan, listener: Listener) -> Iterator[Executor]:
    """The job's workers, closed in the end whatever happens."""
    listener.doing(plan.job.cluster.opening)
    workers = plan.executor()
    try:
        yield workers
    finally:
        listener.doing("closing the workers")
        workers.close()
