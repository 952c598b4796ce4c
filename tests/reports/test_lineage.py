"""Whose child a candidate is, at any remove."""

from __future__ import annotations

from typing import Any

from evomerge.evaluators.base import Failure
from evomerge.optimizers.base import Parentage
from evomerge.reports.lineage import by_id, lineage
from evomerge.study.candidate import Candidate


def candidate(number: int, *parents: int, **facts: Any) -> Candidate:
    """The optimizer's question `number - 3`, after three landmarks."""
    return Candidate(
        **{
            "number": number,
            "proposed_by": "optimizer",
            "label": None,
            "proposal": number - 3,
            "genome": (0.5,),
            "values": {"g": 0.5},
            "recipe": {},
            "digest": f"{number}",
            "asked": number,
            "asked_s": 0.0,
            "parentage": Parentage(0, parents),
            "fitness": (0.5,),
            "state": "done",
            **facts,
        }
    )


def landmark(number: int, **facts: Any) -> Candidate:
    own = {
        "proposed_by": "landmark",
        "label": f"seed:{number}",
        "proposal": None,
        "parentage": None,
    }
    return candidate(number, **{**own, **facts})


FAILED = {"fitness": None, "state": "failed", "failure": Failure(cause="candidate", message="m")}
# Landmark 1 failed, so that -2 is landmark 2; 5 is a child of 3 twice, and 6 of nobody.
CANDIDATES = [
    landmark(0),
    landmark(1, **FAILED),
    landmark(2),
    candidate(3, -1, -2),
    candidate(4, -1, 0),
    candidate(5, 0, 0),
    candidate(6),
    candidate(7, 2, -2),
    candidate(8, 4, 3),
]


def test_optimizers_count_landmarks_that_were_scored_and_others_by_question() -> None:
    known = {id: one.number for id, one in by_id(CANDIDATES).items()}
    assert known == {-1: 0, -2: 2, **{proposal: proposal + 3 for proposal in range(6)}}


def test_a_family_goes_back_to_the_seeds_in_the_order_of_asking() -> None:
    family = lineage(CANDIDATES, 7)
    assert [one.candidate.number for one in family] == [0, 2, 3, 5, 7]
    parents = {one.candidate.number: [p.number for p in one.parents] for one in family}
    assert parents == {0: [], 2: [], 3: [0, 2], 5: [3, 3], 7: [5, 2]}
    assert [one.generation for one in family] == [0, 0, 1, 2, 3]


def test_a_generation_is_the_longest_way_to_a_seed() -> None:
    family = {one.candidate.number: one.generation for one in lineage(CANDIDATES, 8)}
    assert family == {0: 0, 2: 0, 3: 1, 5: 2, 6: 0, 7: 3, 8: 4}


def test_a_seed_is_a_family_of_its_own() -> None:
    for number in (0, 1, 6):
        (alone,) = lineage(CANDIDATES, number)
        assert (alone.candidate.number, alone.parents, alone.generation) == (number, (), 0)
