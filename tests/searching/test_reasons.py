from __future__ import annotations

from evomerge.evaluators.base import Failure
from evomerge.searching.reasons import Reasons
from evomerge.study.candidate import Candidate
from tests.commands.moments import candidate


def failed(number: int, message: str) -> Candidate:
    return candidate(number, failure=Failure(cause="candidate", message=message))


def test_the_most_frequent_is_first_and_of_two_the_one_that_was_first() -> None:
    reasons = Reasons([failed(4, "b"), candidate(5, 0.5), failed(3, "a"), failed(7, "c")])
    assert list(reasons.most_frequent(9).items()) == [("a", 1), ("b", 1), ("c", 1)]
    for number, message in ((8, "a"), (9, "c"), (1, "b")):
        reasons.add(failed(number, message))
    assert list(reasons.most_frequent(9).items()) == [("b", 2), ("a", 2), ("c", 2)]
    assert list(reasons.most_frequent(1)) == ["b"]
    assert Reasons().most_frequent(9) == {}
