"""What an evaluator finds does not depend on the engine."""

from __future__ import annotations

import pytest

from evomerge.conformance.tiny_models import Edited
from evomerge.engines.base import Engine
from evomerge.evaluators.base import Report
from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator
from tests.engines.conftest import Siblings
from tests.evaluators.lm_eval.test_evaluator import real

__all__ = ["real"]


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_both_engines_give_the_same_report(
    real: LmEvalEvaluator, vllm_engine: Engine, transformers_engine: Engine, siblings: Siblings
) -> None:
    for folder in siblings:
        reports: list[Report] = []
        for engine in (transformers_engine, vllm_engine):
            engine.load(Edited(folder))
            reports.append(real.evaluate(engine, "holdout"))
        for name, score in reports[0].tasks.items():
            assert reports[1].tasks[name].value == pytest.approx(score.value, abs=1e-4)
            assert reports[1].tasks[name].examples == pytest.approx(score.examples, abs=1e-3)
        assert reports[0].truncated == reports[1].truncated
