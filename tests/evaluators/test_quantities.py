"""How sure a score is to an optimizer: as sure as a comparison on the same examples is."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evomerge.evaluators.base import TaskScore
from evomerge.evaluators.quantities import standard_error
from evomerge.study.clustered import spread

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "benchmarks" / "tabular" / "flagship.parquet"
PROBLEMS = ROOT / "evaluators" / "json_math" / "data" / "json_math" / "search.jsonl"


def test_the_error_is_by_example_whatever_source_examples_come_from() -> None:
    plain = TaskScore.averaged("acc", (1.0, 1.0, 1.0, 0.0, 0.0, 0.0))
    shared = plain.model_copy(update={"clusters": ("a", "a", "a", "b", "b", "b")})
    assert standard_error(shared) == standard_error(plain) == pytest.approx(0.224, abs=1e-3)


def test_on_recorded_candidates_that_is_the_error_of_a_difference_counted_by_source() -> None:
    """The figures of docs/choosing.md."""
    column = pd.read_parquet(RECORDED)["scores.search.evomerge_json_math"]
    rows = np.unique(np.array([list(scores) for scores in column]), axis=0)
    rows = rows[rows.mean(axis=1) > 0.1]
    problems = PROBLEMS.read_text(encoding="utf-8").splitlines()
    forms = [json.loads(line)["template"] for line in problems[: rows.shape[1]]]
    assert (rows.shape[1], len(set(forms))) == (48, 11)

    def usual(errors: list[float]) -> float:
        return math.sqrt(sum(error**2 for error in errors) / len(errors))

    told = [standard_error(TaskScore.averaged("acc", tuple(row))) or 0.0 for row in rows]
    of_means = [spread(row, forms).error for row in rows]
    apart = [spread(a - b, forms).error for a, b in combinations(rows, 2)]
    assert usual(told) == pytest.approx(0.067, abs=0.001)
    assert usual(apart) / math.sqrt(2) == pytest.approx(0.063, abs=0.001)
    assert usual(of_means) == pytest.approx(0.137, abs=0.001)
