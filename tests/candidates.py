"""Candidates of a record, by what a test says of them."""

from __future__ import annotations

from typing import Any

from evomerge.study.candidate import Candidate


def candidate(number: int, **known: Any) -> Candidate:
    """One that an optimizer proposed first of all, of no genes and no recipe, but for what is
    `known`."""
    usual: dict[str, Any] = {
        "proposed_by": "optimizer",
        "label": None,
        "proposal": number,
        "genome": (),
        "values": {},
        "recipe": {},
        "digest": "",
        "asked": 0,
        "asked_s": 0.0,
    }
    return Candidate(number=number, **usual | known)
