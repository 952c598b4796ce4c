"""Evaluators by kind: built in, or by entry point from another package.

An entry's target is a factory: the class of its settings, an `EvaluatorConfig`, and what makes the
`Evaluator` from them in a worker. A class with a class variable `config` is one; where its
libraries take long to import, `Deferred` names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evomerge.errors import about
from evomerge.evaluators.base import Evaluator, EvaluatorConfig
from evomerge.plugins import Factory, Registry

__all__ = ["EVALUATORS", "make_evaluator", "read_evaluator"]

EVALUATORS: Registry[Factory] = Registry(
    role="evaluator",
    group="evomerge.evaluators",
    built_in={
        "lm_eval": "evomerge.evaluators.lm_eval.config:LM_EVAL",
        "text": "evomerge.evaluators.text.evaluator:TextEvaluator",
    },
    default="lm_eval",
)


def read_evaluator(data: object, *, folder: Path, origin: str) -> Any:
    """The evaluator that plain data describes, its paths relative to `folder`, checked.

    Raises:
        ConfigError: it breaks a law; the sentence starts with `origin`.
    """
    config: EvaluatorConfig = EVALUATORS.config(data, origin=origin)
    with about(origin):
        return config.located(folder)


def make_evaluator(config: EvaluatorConfig) -> Evaluator:
    """The evaluator itself; its libraries are imported now."""
    evaluator: Evaluator = EVALUATORS.make(config)
    return evaluator
