"""A worker: one engine, one evaluator and the process's bank, kept alive over many candidates."""

from __future__ import annotations

import time
from pathlib import Path

from evomerge.cluster.base import Task
from evomerge.cluster.config import WorkerConfig
from evomerge.cluster.model_loader import MergeLoader, ModelLoader, PathLoader
from evomerge.engines.base import Engine
from evomerge.engines.factory import start_engine
from evomerge.errors import CandidateError, UserError
from evomerge.evaluators.base import Evaluator, Failure, Outcome
from evomerge.evaluators.registry import make_evaluator
from evomerge.models.sources import model_folder

__all__ = ["ModelWorker"]


class ModelWorker:
    """Performs work: merge into the live engine, or route its layers, then evaluate."""

    def __init__(self, config: WorkerConfig) -> None:
        folder: Path = model_folder(config.skeleton)
        self._engine: Engine
        self._loader: ModelLoader
        if config.capacity is None:
            self._engine = start_engine(config.engine, folder)
            self._loader = MergeLoader(self._engine)
        else:
            self._engine = flow = start_engine(config.engine, folder, config.capacity)
            self._loader = PathLoader(flow)
        self._evaluator: Evaluator = make_evaluator(config.evaluator)

    def perform(self, task: Task) -> Outcome:
        """The report with its timings, or a failure where the candidate is at fault.

        Raises:
            Exception: anything else; the executor runs the work again elsewhere.
        """
        began = time.perf_counter()
        try:
            layers = self._loader.load(task.recipe)
            loaded = time.perf_counter()
            report = self._evaluator.evaluate(self._engine, task.split)
        except (CandidateError, UserError) as problem:
            return Failure(cause="candidate", message=str(problem))
        ended = time.perf_counter()
        seconds = {"merge_and_load": loaded - began, "evaluate": ended - loaded}
        costs = {**report.costs, "layers": float(layers)}
        return report.model_copy(update={"seconds": seconds, "costs": costs})
