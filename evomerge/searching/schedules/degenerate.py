"""Candidates whose answers say nothing: no further example will tell more of them."""

from __future__ import annotations

from evomerge.evaluators.base import Report

__all__ = ["degeneration"]

SHARE = 0.9
"""Of its answers: a model that still answers one question in ten may be a place to go on from."""


def degeneration(report: Report) -> str | None:
    """Why a candidate with that report is not worth another example; None of one that answers.

    Logits that are not finite are a failure, which ends a candidate under any schedule.
    """
    if report.silent >= SHARE:
        return f"{report.silent:.0%} of its first answers are empty"
    if report.repeating >= SHARE:
        return f"{report.repeating:.0%} of its first answers repeat one thing until they are cut"
    if report.silent + report.repeating >= SHARE:
        return f"{report.silent + report.repeating:.0%} of its first answers are empty or repeat"
    return None
