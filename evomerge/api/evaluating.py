"""The score of one model or recipe, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.api.plain_data import as_in_a_file
from evomerge.cluster.base import Task
from evomerge.cluster.config import InProcessConfig
from evomerge.cluster.model_executor import model_executor
from evomerge.engines.config import EngineSettings
from evomerge.engines.factory import ENGINES, check_engine
from evomerge.evaluators.base import EvaluatorConfig, Failure, Report, Split
from evomerge.evaluators.registry import read_evaluator
from evomerge.recipe.named import recipe_named
from evomerge.recipe.tree import Recipe
from evomerge.searching.checks import check_answering, check_loadable
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.trust import require_trust

__all__ = ["evaluate"]


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
            as_in_a_file(evaluator),
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
