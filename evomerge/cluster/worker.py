"""A worker: one engine, one evaluator and the process's bank, kept alive over many candidates."""

from __future__ import annotations

import time
from pathlib import Path

from evomerge.cluster.base import Work
from evomerge.cluster.config import WorkerConfig
from evomerge.cluster.model_loader import Merged, Mount, Routed
from evomerge.engines.base import Engine
from evomerge.engines.factory import start
from evomerge.errors import CandidateError, UserError
from evomerge.evaluators.base import Evaluator, Failure, Outcome
from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator
from evomerge.models.sources import model_folder

__all__ = ["Worker"]


class Worker:
    """Performs work: merge into the live engine, or route its layers, then evaluate."""

    def __init__(self, config: WorkerConfig) -> None:
        folder: Path = model_folder(config.skeleton)
        self._engine: Engine
        self._mount: Mount
        if config.room is None:
            self._engine = start(config.engine, folder)
            self._mount = Merged(self._engine)
        else:
            self._engine = flow = start(config.engine, folder, config.room)
            self._mount = Routed(flow)
        self._evaluator: Evaluator = LmEvalEvaluator(config.evaluator)

    def perform(self, work: Work) -> Outcome:
        """The report with its timings, or a failure where the candidate is at fault.

        Raises:
            Exception: anything else; the executor runs the work again elsewhere.
        """
        began = time.perf_counter()
        try:
            layers = self._mount.put(work.recipe)
            loaded = time.perf_counter()
            report = self._evaluator.evaluate(self._engine, work.split)
        except (CandidateError, UserError) as problem:
            return Failure(cause="candidate", message=str(problem))
        ended = time.perf_counter()
        seconds = {"merge_and_load": loaded - began, "evaluate": ended - loaded}
        costs = {**report.costs, "layers": float(layers)}
        return report.model_copy(update={"seconds": seconds, "costs": costs})
