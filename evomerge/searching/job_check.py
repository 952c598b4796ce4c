"""A job as a whole: whether it can be run as it is written, and what is worth knowing before.

All of its plan is asked for, and each part is held to its laws; those of engine, evaluator, workers
and budget are in `checks`, those of one recipe in `recipe_plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evomerge.errors import ConfigError, EvomergeError, about
from evomerge.models.sources import adapter_folder
from evomerge.models.stacking import check_routable
from evomerge.plugins import Entry
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Stack
from evomerge.search_spaces.registry import SPACES
from evomerge.searching.checks import (
    budget_warnings,
    check_engine_holds,
    check_evaluator,
    check_loadable,
    check_runtime,
    idle_warnings,
    schedule_warnings,
    unheeded_warnings,
    unmeetable_warnings,
)
from evomerge.searching.detecting import goal_warnings
from evomerge.searching.plan import Plan
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.searching.schedules.estimated_config import check_estimates
from evomerge.searching.warm_starts import moved
from evomerge.trust import require_trust

__all__ = ["check_job"]


def check_job(plan: Plan) -> list[str]:
    """Check everything that can be checked without reading weights; the warnings worth telling.

    Raises:
        UserError: in one sentence that begins with what the job is called.
    """
    job = plan.job
    with about(plan.called):
        require_trust(job.code)
        for name, source in job.sources.items():
            with about(f"sources.{name}"):
                check_engine_holds(job, plan.headers.inventory(source))
                adapter_folder(source)
        with _faults_named(job.space.kind):
            _ = plan.space, plan.landmarks, plan.samples, plan.capacity, plan.baselines
        job.objective.check_tasks(job.evaluator.weights, job.evaluator.watched)
        _ = plan.objective.models
        donor_files = plan.headers.inventory(plan.donor)
        check_evaluator(job.evaluator, donor_files)
        check_loadable(job.engine, donor_files)
        warnings = check_runtime(job, plan.load, plan.capacity, donor_files)
        _ = plan.optimizer, plan.schedule, plan.remarks, plan.opponents
        plan.lenders(Path())
        uneven = job.evaluator.uneven
        check_estimates(job.schedule, plan.optimizer, len(plan.landmarks), uneven)
        warnings += budget_warnings(job, plan.optimizer, len(plan.landmarks))
        warnings += idle_warnings(job, plan.optimizer)
        warnings += schedule_warnings(job, plan.optimizer, plan.schedule)
        warnings += goal_warnings(job, plan.detectable)
        warnings += unheeded_warnings(job, plan.optimizer)
        warnings += unmeetable_warnings(job)
        warnings += moved(job.warm_start, plan.space)
        for recipe in plan.samples:
            sample = RecipePlan(recipe, plan.called, plan.headers)
            if isinstance(recipe, Stack):  # before a process is asked what stacks of them say
                check_routable(recipe, plan.headers)
            warnings += sample.check()
            _check_donor(sample.donor, plan.donor)
            sample.check_engine(plan.donor)
        return [*dict.fromkeys(warnings), *plan.empty_rules]


@contextmanager
def _faults_named(space: str) -> Iterator[None]:
    """What fails in a space of another package is said of that package."""
    entry = SPACES.entries[space]
    try:
        yield
    except EvomergeError:
        raise
    except Exception as problem:
        if entry.package == Entry.package:
            raise
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise ConfigError(
            f"search space {entry.name!r} of the package {entry.package} fails: {said}"
        ) from problem


def _check_donor(own: Source, engines: Source) -> None:
    """Whether a recipe takes configuration and tokenizer from where the engines do."""
    if own != engines:
        raise ConfigError(
            f"space: its recipes take configuration and tokenizer from {engines.model} and"
            f" from {own.model}, and a live engine has those of one model; give all recipes"
            " of the space one base"
        )
