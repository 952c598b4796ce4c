"""By how much a candidate misses the objective's constraints, as far as its schedule can tell.

What breaks one is behind all that break none: nobody is given up for it.
"""

from __future__ import annotations

import math

from evomerge.errors import CandidateError
from evomerge.evaluators.base import Report
from evomerge.evaluators.objective import Objective

__all__ = ["missed"]


def missed(objective: Objective, report: Report) -> float:
    """By how much all constraints together; 0: they are kept, and infinite where the report does
    not say what they ask, which is the candidate's end."""
    try:
        return objective.missed(report)
    except CandidateError:
        return math.inf
