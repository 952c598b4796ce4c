"""What a re-implementation should reproduce, from the paper's figures and its released code.

Those with a number that are missing (1 to 4, 15) hold exactly or not at all, and are tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

__all__ = ["checks"]

Result = Mapping[str, Any]
PRE, SCRATCH = "pre-trained", "scratch"


def checks(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Each with what was found and whether it holds."""
    outcomes = []

    def check(law: str, value: float, holds: bool) -> None:
        outcomes.append({"check": law, "found": round(value, 4), "holds": bool(holds)})

    def at(setting: str, method: str, passes: int, key: str = "test") -> list[float]:
        return _values(results, setting, method, passes, key)

    niches, genetic = at(PRE, "M2N2", 10_000), at(PRE, "GA", 10_000)
    (brute,) = at(PRE, "brute-force SLERP", 10_000)
    (brute_training,) = at(PRE, "brute-force SLERP", 10_000, "training")
    check("5. halves: brute force is 0.578", brute, abs(brute - 0.578) < 0.005)
    gap = abs(brute_training - 0.713)
    check("5. halves: brute force is 0.713 in training", brute_training, gap < 0.005)
    gap = max(abs(test - brute) for test in at(PRE, "M2N2 without split point", 10_000))
    check("6. halves: without a split point it is brute force, within 0.005", gap, gap <= 0.005)
    gap = mean(niches) - mean(genetic)
    check("7. halves: M2N2 less GA is over 0.08", gap, gap > 0.08)
    gap = mean(niches) - brute
    check("8. halves: M2N2 less brute force is over 0.07", gap, gap > 0.07)
    gap = mean(niches) - mean(at(PRE, "M2N2 without attraction", 10_000))
    check("halves: attraction helps (published: 0.02)", gap, gap > 0)
    gap = abs(mean(niches) - mean(at(PRE, "M2N2, angle per part", 10_000)))
    check("halves: both meanings of the angle agree within 0.03", gap, gap < 0.03)
    rows = max(at(PRE, "GA", 10_000, "distinct"))
    check("13. halves: GA ends with 1 to 3 different rows of scores", rows, rows <= 3)

    early, late = at(SCRATCH, "M2N2", 10_000), at(SCRATCH, "M2N2", 50_000)
    check("9. scratch: M2N2 is over 0.75 at 10,000", mean(early), mean(early) > 0.75)
    check("9. scratch: M2N2 is over 0.83 at 50,000", mean(late), mean(late) > 0.83)
    alone = at(SCRATCH, "M2N2 without crossover", 50_000)
    gap = mean(late) - mean(alone)
    check("10. scratch: crossover helps M2N2", gap, gap > 0)
    gap = mean(alone) - mean(at(SCRATCH, "GA", 50_000))
    check("10. scratch: M2N2 without crossover is ahead of GA", gap, gap > 0)
    least = min(at(SCRATCH, "M2N2", 10_000, "coverage"))
    check("11. scratch: M2N2 covers at least 0.98 at 10,000", least, least >= 0.98)
    most = max(at(SCRATCH, "GA", 10_000, "coverage"))
    check("11. scratch: GA covers at most 0.90 at 10,000", most, most <= 0.90)
    risen = min(_highest(results, SCRATCH, "M2N2", 2000, "entropy"))
    check("12. scratch: M2N2's entropy rises to 0.7 by 2,000", risen, risen >= 0.7)
    fallen = max(at(SCRATCH, "M2N2", 10_000, "entropy"))
    check("12. scratch: M2N2's entropy is under 0.3 at 10,000", fallen, fallen < 0.3)
    fallen = max(at(SCRATCH, "M2N2", 50_000, "entropy"))
    check("12. scratch: M2N2's entropy is under 0.1 at 50,000", fallen, fallen < 0.1)
    soon = mean(at(SCRATCH, "separable CMA-ES", 10_000))
    separable = mean(at(SCRATCH, "separable CMA-ES", 50_000))
    check("14. scratch: separable CMA-ES is over 0.83 at 10,000", soon, soon > 0.83)
    check("14. scratch: separable CMA-ES is over 0.88 at 50,000", separable, separable > 0.88)
    gap = separable - mean(late)
    check("scratch: separable CMA-ES is ahead of M2N2 at 50,000", gap, gap > 0)
    return outcomes


def _own(results: Iterable[Result], setting: str, method: str) -> list[Sequence[Result]]:
    return [
        result["marks"]
        for result in results
        if (result["setting"], result["method"]) == (setting, method)
    ]


def _values(
    results: Iterable[Result], setting: str, method: str, passes: int, key: str
) -> list[float]:
    """Of each seed at so many passes: its last mark until then."""
    return [
        [mark for mark in marks if mark["passes"] <= passes][-1][key]
        for marks in _own(results, setting, method)
    ]


def _highest(
    results: Iterable[Result], setting: str, method: str, passes: int, key: str
) -> list[float]:
    return [
        max(mark[key] for mark in marks if mark["passes"] <= passes)
        for marks in _own(results, setting, method)
    ]
