"""The smallest difference between two models that so many examples can show.

Two models are compared on the same n examples. Their difference has the standard error

    sqrt((v1 + v2 - 2 r sqrt(v1 v2)) / n)

with the variances v of their scores and the correlation r between them, example by example (Miller
2024, arXiv:2411.00640, section 4). A two-sided test at 0.05 finds a difference of 2.80 such errors
with a power of 80 %: 2.80 = 1.96 + 0.84, of the normal distribution (section 5 there). Before a
search neither v nor r is known: scores of 0 and 1, half of them right, have v = 1/4, which no
scores from 0 to 1 exceed, and siblings that are merged answer much alike: r = 0.7 is assumed. So
200 examples have an error of 2.7 points and find 7.7.

Where examples share sources the error has few degrees of freedom, and both quantiles are of
Student's t (Bloom 1995, Eval. Rev. 19:547): of eleven sources 3.11 errors are found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Self

import numpy as np
from pydantic import Field

from evomerge.evaluators.base import TaskScore
from evomerge.study.clustered import are_shared, spread
from evomerge.study.statistics import Scores
from evomerge.value import Value
from evomerge.wording import count

__all__ = ["ASSUMED_CORRELATION", "Detectable", "Paired", "examples_for", "smallest_difference"]

SIGNIFICANT, POWER = 0.05, 0.8
ASSUMED_CORRELATION = 0.7
_REACH = NormalDist().inv_cdf(1 - SIGNIFICANT / 2) + NormalDist().inv_cdf(POWER)
_VARIANCE = 0.25
"""Of scores of 0 and 1, half of them right."""


def smallest_difference(error: float, freedom: float | None = None) -> float:
    """What a test finds with 80 % power whose difference has such a standard error.

    `freedom`: degrees of freedom of that error; None: many.
    """
    if freedom is None:
        return _REACH * error
    from scipy import stats  # takes a second, and most commands judge nothing

    reach = stats.t.ppf([1 - SIGNIFICANT / 2, POWER], max(freedom, 1.0)).sum()
    return float(reach) * error


def examples_for(wanted: float, now: float, examples: int) -> int:
    """How many examples show the difference `wanted`, where so many show `now`."""
    return math.ceil(examples * (now / wanted) ** 2)


class Paired(Value):
    """How differently two models score the same examples of a task."""

    variance: float
    """Of the difference of one example; where examples share a source, what it comes to in a mean.
    """
    correlation: float | None
    """Between the two scores; None where one of the models scores all examples alike."""
    alone: float | None = None
    """The variance if no examples shared a source; None: none do."""
    per_source: float = 1.0
    """How many examples a source has, each source weighed by them."""
    freedom: float | None = None
    """Degrees of freedom of the error of a mean, where examples share a source; None: many."""

    @classmethod
    def assumed(cls, freedom: float | None = None) -> Self:
        """Of siblings, before anything is scored."""
        return cls(
            variance=2 * _VARIANCE * (1 - ASSUMED_CORRELATION),
            correlation=ASSUMED_CORRELATION,
            freedom=freedom,
        )

    @classmethod
    def measured(cls, models: Sequence[TaskScore], against: TaskScore | None = None) -> Self | None:
        """The mean over all pairs of the models, or over the pairs of each with one; None where
        there is no pair, or too few examples.

        All have scored the same examples.
        """
        pairs = list(combinations(models, 2)) if against is None else [(m, against) for m in models]
        clusters = models[0].clusters if models else None
        if not pairs or len(pairs[0][0].examples) < 2:
            return None
        alone, by_source, correlations = [], [], []
        for first, second in pairs:
            gains = np.subtract(first.examples, second.examples)
            alone.append(float(gains.var(ddof=1)))
            if clusters is not None and are_shared(clusters):
                by_source.append(len(gains) * spread(gains, clusters).error ** 2)
            correlations.append(_correlation(first.examples, second.examples))
        known = [r for r in correlations if r is not None]
        correlation = float(np.mean(known)) if known else None
        if clusters is None or not by_source:
            return cls(variance=float(np.mean(alone)), correlation=correlation)
        sizes = np.array([*Counter(clusters).values()], dtype=float)
        return cls(
            variance=float(np.mean(by_source)),
            correlation=correlation,
            alone=float(np.mean(alone)),
            per_source=float((sizes**2).sum() / sizes.sum()),
            freedom=spread(
                np.subtract(pairs[0][0].examples, pairs[0][1].examples), clusters
            ).freedom,
        )

    def elsewhere(self, per_source: float, freedom: float | None = None) -> Self:
        """The same models on other examples, of which a source has so many: what is alike in a
        source stays so. With m examples a source whose differences correlate by r, the variance is
        1 + (m - 1) r times that of as many sources (Kish 1965, Survey Sampling, section 5.4)."""
        if not self.alone or self.per_source <= 1:
            return self
        alike = (self.variance / self.alone - 1) / (self.per_source - 1)
        grown = 1 + (per_source - 1) * min(max(alike, 0.0), 1.0)
        known = {
            "variance": self.alone * grown,
            "per_source": per_source,
            "freedom": freedom,
        }
        return self.model_copy(update=known)


class Detectable(Value):
    """The smallest difference in the objective that a split can show."""

    difference: float
    """In units of the fitness."""
    examples: int
    correlation: float | None = Field(default=None)
    """Between two models' scores of an example; the mean over the tasks, weighed as they count."""
    is_measured: bool = False
    """Or assumed: as of siblings whose scores are 0 and 1, half of them right."""

    @classmethod
    def of(
        cls,
        paired: Mapping[str, Paired],
        sizes: Mapping[str, int],
        weights: Mapping[str, float],
        *,
        is_measured: bool,
    ) -> Self | None:
        """For a weighted mean over tasks; None where a task's size or pairing is not known.

        `sizes`: task -> examples of the split; `weights`: task -> its weight, those that count.
        """
        if not weights or any(not sizes.get(task) or task not in paired for task in weights):
            return None
        total = sum(weights.values())
        shares = {task: weight / total for task, weight in weights.items()}
        squares = {
            task: share**2 * paired[task].variance / sizes[task] for task, share in shares.items()
        }
        total_square = sum(squares.values())
        # Satterthwaite's, of a sum of variances: those of many degrees add nothing.
        few = [(squares[task], df) for task in shares if (df := paired[task].freedom) is not None]
        below = sum(square**2 / df for square, df in few)
        said = {task: own for task in shares if (own := paired[task].correlation) is not None}
        known = sum(shares[task] for task in said)
        return cls(
            difference=smallest_difference(
                math.sqrt(total_square), total_square**2 / below if below else None
            ),
            examples=sum(sizes[task] for task in weights),
            correlation=sum(shares[task] * own for task, own in said.items()) / known
            if known
            else None,
            is_measured=is_measured,
        )

    def to_text(self, split: str) -> str:
        """`holdout: 0.077 (200 examples)`."""
        return f"{split}: {self.difference:.3f} ({count(self.examples, 'example')})"

    def measured_text(self, split: str) -> str:
        """One line for below the tables of a comparison."""
        agree = "" if self.correlation is None else f"; correlation {self.correlation:.2f}"
        return (
            f"smallest difference that {count(self.examples, f'{split} example')} show with"
            f" {100 * POWER:.0f} % power: {self.difference:.3f}, as winner and parents"
            f" differ{agree}"
        )


def _correlation(first: Scores, second: Scores) -> float | None:
    a, b = np.asarray(first), np.asarray(second)
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
