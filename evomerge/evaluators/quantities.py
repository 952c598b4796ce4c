"""What a report says of a task or a cost: its value, its direction, how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

from evomerge.errors import CandidateError
from evomerge.evaluators.base import Report, TaskScore

__all__ = [
    "COSTS",
    "SHARES",
    "SIGNS",
    "Cost",
    "cost_of",
    "costs_of",
    "measured",
    "natural",
    "quantities",
    "sign_of",
    "standard_error",
]

Cost = Literal["layers", "parameters", "tokens_generated", "tokens_per_second"]

COSTS: tuple[Cost, ...] = get_args(Cost)
SIGNS: Mapping[str, int] = {
    "layers": -1,
    "parameters": -1,
    "tokens_generated": -1,
    "tokens_per_second": 1,
}
"""More tokens per second are better, more layers are not."""
SHARES = frozenset(
    {
        "acc",
        "acc_bytes",
        "acc_mutual_info",
        "acc_norm",
        "accuracy",
        "em",
        "exact_match",
        "f1",
        "pass@1",
    }
)
"""Metrics whose examples score 0, 1 or something between."""


def natural(objective: str, value: float, tasks: Mapping[str, float] | None = None) -> float:
    """A number of a fitness in its own unit: fewer layers are better, and are told as a count; a
    task where lower is better as the task has it.

    `tasks`: task -> its metric, of the candidate whose fitness it is.
    """
    is_lower = (tasks or {}).get(objective) == -value
    return -value if is_lower or SIGNS.get(objective) == -1 else value


def quantities(report: Report) -> dict[str, float]:
    """Task or cost -> its value, of all that a report says."""
    costs = {name: measured(report, name) for name in COSTS if _has(report, name)}
    return {task: score.value for task, score in report.tasks.items()} | costs


def sign_of(score: TaskScore) -> int:
    """1 where a higher value is better, else -1."""
    return 1 if score.higher_is_better else -1


def cost_of(report: Report, name: str) -> float:
    """What the report says of a cost, such that more is better."""
    return SIGNS[name] * measured(report, name)


def costs_of(report: Report) -> dict[str, float]:
    """Its costs, generated tokens (the mean of an example) among them where they were counted: of a
    report that is to be taken apart or joined, whose `tokens` then say what was spent on it."""
    own = dict(report.costs)
    if _has(report, "tokens_generated"):
        own["tokens_generated"] = measured(report, "tokens_generated")
    return own


def _has(report: Report, name: str) -> bool:
    return name in report.costs or (name == "tokens_generated" and report.tokens is not None)


def measured(report: Report, name: str) -> float:
    """A cost in its own unit; of generated tokens the mean of an example, for all its seeds.

    Raises:
        CandidateError: the report does not have it.
    """
    if name in report.costs:
        return report.costs[name]
    if name == "tokens_generated" and report.tokens is not None:
        examples = sum(len(task.examples) for task in report.tasks.values())
        return report.tokens.generated / max(examples, 1)
    raise CandidateError(f"the report does not say {name!r}")


def standard_error(task: TaskScore) -> float | None:
    """The standard error of a mean over examples, for an optimizer that weighs noise.

    With one score of 0 and one of 1 added where all are equal, for a share of 0 or 1 is no
    certainty (Agresti & Coull 1998, Am. Stat. 52:119). None where the value is no mean of at least
    two examples.

    It is by example also where examples share a source (`TaskScore.clusters`), other than the
    intervals of reports. Those say how far a model's score may be from that on other examples. An
    optimizer compares candidates on the same examples: what makes a source hard makes it so for
    all of them, and drops out of their difference. On recorded candidates this error is about that
    of a difference which is counted by source, divided by the square root of 2, and one counted by
    source would be twice as large (`tests/evaluators/test_quantities.py`).
    """
    scores = task.examples
    if len(scores) < 2 or task.mean != "arithmetic":
        return None
    weights = task.weights or (1.0,) * len(scores)
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, scores, strict=True)) / total
    if not math.isclose(mean, task.value, rel_tol=1e-6, abs_tol=1e-6):
        return None
    if min(scores) == max(scores) and scores[0] in (0, 1):
        scores, weights, total = (*scores, 0.0, 1.0), (*weights, 1.0, 1.0), total + 2
        mean = sum(w * x for w, x in zip(weights, scores, strict=True)) / total
    # Of a weighted mean: each example's own share of the deviation (Cochran 1977, section 6.3).
    squares = sum((w * (x - mean)) ** 2 for w, x in zip(weights, scores, strict=True))
    return math.sqrt(squares * len(scores) / (len(scores) - 1)) / total
