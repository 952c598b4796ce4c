"""What an evaluator finds does not depend on the engine."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from evomerge.conformance.tiny_models import Edited
from evomerge.engines.base import Engine
from evomerge.evaluators.base import Evaluator, Report
from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator
from evomerge.evaluators.registry import read_evaluator
from evomerge.evaluators.text.config import TextConfig
from evomerge.evaluators.text.evaluator import TextEvaluator
from tests.engines.conftest import Siblings
from tests.evaluators.lm_eval.test_evaluator import real

__all__ = ["real"]


@pytest.fixture
def text(tmp_path: Path) -> TextEvaluator:
    """A document longer than the engines take, in windows that fit (vLLM takes a token less)."""
    for split in ("search", "holdout"):
        (tmp_path / f"{split}.txt").write_text(f"Of the {split} there is much to say. " * 30)
    task = {"weight": 1, "splits": {"search": "search.txt", "holdout": "holdout.txt"}}
    data = {"kind": "text", "tasks": {"prose": task}, "window_bytes": 300, "context_tokens": 100}
    config = read_evaluator(data, folder=tmp_path, origin="text.yaml")
    assert isinstance(config, TextConfig)
    return TextEvaluator(config)


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_both_engines_give_the_same_report(
    real: LmEvalEvaluator,
    text: TextEvaluator,
    vllm_engine: Engine,
    transformers_engine: Engine,
    siblings: Siblings,
) -> None:
    evaluators: tuple[Evaluator, ...] = (real, text)
    compared: set[str] = set()
    for folder, evaluator in product(siblings, evaluators):
        reports: list[Report] = []
        for engine in (transformers_engine, vllm_engine):
            engine.load(Edited(folder))
            reports.append(evaluator.evaluate(engine, "holdout", deadline_s=6000))
        first, second = reports
        assert first.tasks.keys() == second.tasks.keys()
        for name, score in first.tasks.items():
            assert second.tasks[name].value == pytest.approx(score.value, abs=1e-4)
            assert second.tasks[name].examples == pytest.approx(score.examples, abs=1e-3)
            compared.add(name)
        assert first.truncated == second.truncated
    assert {"echo", "prose"} <= compared
