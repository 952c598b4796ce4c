"""Votes on signs, against the worked numbers of the method cards (7, 29, 30)."""

from __future__ import annotations

import pytest

from evomerge.errors import CandidateError
from tests.operators.applied import F5, applied, close, lam, weights


def params(values: list[float], density: float = 1.0) -> list[dict[str, float]]:
    return [{"weight": value, "density": density} for value in values]


def test_ties_with_exact_trim() -> None:
    assert close(applied("ties", F5, params([1, 1, 1], 0.4)), [4, -3, -6, 5, -3])
    assert close(applied("ties", F5, params([1, 0.5, 2], 0.4)), [4, -3, -6, -4, -3])


def test_ties_lambda_and_sum() -> None:
    assert applied("ties", F5, params([1, 1, 1], 0.4), **lam(2.0))[0] == 8
    assert close(applied("ties", [[2.0], [4.0]], params([1, 1]), normalize=False), [6])
    assert close(applied("ties", [[2.0], [4.0]], params([1, 1])), [3])


def test_ties_elects_by_mass_or_by_count() -> None:
    votes = [[5.0], [-1.0], [-2.0]]
    assert close(applied("ties", votes, params([1, 1, 1])), [5])
    assert close(applied("ties", votes, params([1, 1, 1]), sign="count"), [-1.5])


def test_a_negative_weight_does_not_undo_itself_under_normalisation() -> None:
    assert close(applied("ties", [[2.0]], params([-0.5])), [-2])
    assert close(applied("ties", [[2.0]], params([0.5])), [2])


def test_zero_task_vectors_never_vote() -> None:
    assert close(applied("ties", [[0.0, 3.0], [0.0, 1.0]], params([1, 1])), [0, 2])
    assert close(applied("ties", [[0.0], [0.0]], params([1, 1], 0.5)), [0])


def test_consensus_keeps_what_serves_several() -> None:
    assert close(applied("consensus", F5), [0, -2, 0, 1, 0])
    assert close(applied("consensus", F5, k=0), [7, -2, -3, 1, -2])
    assert close(applied("consensus", F5, k=1), [7, -2, -3, 1, -2])
    assert close(applied("consensus", F5, k=4), [0] * 5)
    assert close(applied("consensus", F5, k=2, **lam(0.5)), [0, -1, 0, 0.5, 0])


def test_consensus_on_ties() -> None:
    # 20 % of five: 4, 5 and -6 are left, and each is its expert's own.
    assert close(applied("consensus", F5, k=1, merged="ties")[:2], [4, 0])


def test_emr_takes_the_largest_of_the_elected_sign() -> None:
    assert close(applied("emr", F5), [4, -3, -6, 5, -3])


@pytest.mark.parametrize(
    ("name", "mask", "scale"),
    [("a", [1, 1, 0, 0, 1], 1.0), ("b", [1, 1, 0, 1, 0], 1.0), ("c", [1, 0, 1, 0, 0], 1.3)],
)
def test_emr_restores_an_expert(name: str, mask: list[int], scale: float) -> None:
    unified = [4, -3, -6, 5, -3]
    expected = [scale * m * u for m, u in zip(mask, unified, strict=True)]
    assert close(applied("emr", F5, restore=name), expected)


def test_emr_names_the_input_that_is_not_there() -> None:
    with pytest.raises(CandidateError, match="restore names 'aa'; did you mean 'a'"):
        applied("emr", F5, restore="aa")


def test_ties_weights_are_required() -> None:
    with pytest.raises(ValueError, match="weight"):
        applied("ties", F5, [{}, {}, {}])
    assert weights(1.0) == [{"weight": 1.0}]
