"""A worker: one engine, one evaluator and the process's bank, kept alive over many candidates."""

from __future__ import annotations

import time
from collections.abc import Sequence

from evomerge.cluster.base import Task, overrun
from evomerge.cluster.metrics import Reading
from evomerge.cluster.model_loader import ModelLoader
from evomerge.cluster.worker_config import LOADERS, WorkerConfig
from evomerge.engines.holding import held_by
from evomerge.errors import CandidateError, DeadlineExceeded, UserError
from evomerge.evaluators.base import Evaluator, Failure, Outcome
from evomerge.evaluators.registry import make_evaluator
from evomerge.merging.bank import bank_memory
from evomerge.merging.merge_time import MERGE_TIME
from evomerge.models.sources import adapter_folder, model_folder, require_here

__all__ = ["ModelWorker"]


class ModelWorker:
    """Performs a task: load the recipe into the live engine, then evaluate."""

    def __init__(self, config: WorkerConfig) -> None:
        for source in config.sources:
            require_here(source)
        for source in config.sources:  # a download is no part of a candidate's time
            model_folder(source)
            adapter_folder(source)
        folder = model_folder(config.donor)
        self._loader: ModelLoader = LOADERS.make(config.loader, config.engine, folder)
        self._evaluator: Evaluator = make_evaluator(config.evaluator)

    def perform(self, task: Task) -> Outcome:
        """The report with its timings, or a failure where the candidate is at fault.

        Raises:
            Exception: anything else; the executor performs the task again elsewhere.
        """
        began, merging_s = time.perf_counter(), MERGE_TIME.seconds
        try:
            model = self._loader.load(task.recipe)
            loaded = time.perf_counter()
            left_s = None if task.deadline_s is None else task.deadline_s - (loaded - began)
            report = self._evaluator.evaluate(
                self._loader.engine, task.split, task.examples, left_s
            )
        except (CandidateError, UserError) as problem:
            if isinstance(problem, DeadlineExceeded) and task.deadline_s is not None:
                return overrun(task.deadline_s)
            kind = type(problem).__name__
            return Failure(cause="candidate", message=str(problem), error=kind)
        ended = time.perf_counter()
        seconds = {
            "merge_and_load": loaded - began,
            "merge": MERGE_TIME.seconds - merging_s,
            "evaluate": ended - loaded,
            "generate": report.seconds.get("generate", 0.0),
        }
        sizes = {"layers": float(model.layers), "parameters": float(model.parameters)}
        costs = {**report.costs, **sizes}
        held = held_by(self._loader.engine)
        return report.model_copy(update={"seconds": seconds, "costs": costs, "weights": held})

    def readings(self) -> Sequence[Reading]:
        """The memory of this process's bank; an engine in processes of its own has others."""
        return [
            Reading("evomerge_bank", size, {"kind": kind}) for kind, size in bank_memory().items()
        ]

    def close(self) -> None:
        """End the engine."""
        self._loader.engine.close()
