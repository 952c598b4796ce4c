"""What a search will cost in time: the arithmetic."""

from __future__ import annotations

import pytest

from evomerge.searching.estimate import (
    CPU_CORE,
    GPU,
    Device,
    Span,
    Work,
    candidate_seconds,
    duration,
    measured_seconds,
    search_seconds,
)


def test_a_candidate_by_hand() -> None:
    """1e9 parameters, 10 examples of 100 tokens and answers of 10; 2e9 bytes."""
    one = Span(1e12, 2e12)
    device = Device(reading=one, generating=Span(1e11, 1e12), bandwidth=Span(1e9, 2e9))
    work = Work(10, Span(100, 100), Span(10, 10))
    found = candidate_seconds(1e9, 2e9, work, device, 1)
    # 2 P r = 2e12, 2 P g = 2e11
    assert found.low == pytest.approx(0.05 + 2e12 / 2e12 + 2e11 / 1e12 + 2e9 / 2e9)
    assert found.high == pytest.approx(2 + 2e12 / 1e12 + 2e11 / 1e11 + 2e9 / 1e9)
    halved = candidate_seconds(1e9, 2e9, work, device, 2)
    assert halved.low - 0.05 == pytest.approx((found.low - 0.05) / 2)
    assert work.tokens == Span(1100, 1100)


def test_the_table_holds_what_was_measured() -> None:
    """200 prompts of about 60 tokens with answers of 40 by a model of 135M took 10 s on two cores;
    a merge of three and a base, 1.35 GB, 0.21 s."""
    found = candidate_seconds(135e6, 1.35e9, Work(200, Span(60, 60), Span(40, 40)), CPU_CORE, 2)
    assert found.low < 10 < found.high
    # Llama of 8B on an H100: some thousands of tokens a second in batches.
    answers = candidate_seconds(8e9, 0, Work(1000, Span(0, 0), Span(100, 100)), GPU, 1)
    assert answers.low < 100_000 / 5000 < answers.high


def test_what_was_measured() -> None:
    assert measured_seconds([10.0]) == Span(5, 20)
    found = measured_seconds([10.0, 20.0, 11.0])
    assert 10 <= found.low < found.high <= 20


def test_a_search_is_divided_by_its_workers_and_takes_one_evaluation_at_least() -> None:
    each = Span(10, 20)
    assert search_seconds(100, [(4, each)]) == Span(250, 500)
    assert search_seconds(2, [(50, each)]) == each
    # One of two kinds is ten times slower: in 100 s they do 11.
    assert search_seconds(11, [(1, Span(10, 10)), (1, Span(100, 100))]).low == pytest.approx(100)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.02, 0.31, "0.02 to 0.31 s"),
        (1.04, 90, "1 to 90 s"),
        (125, 1800, "2.1 to 30 min"),
        (30, 7300, "30 s to 2 h"),
        (200_000, 9e6, "2.3 to 100 days"),
        (50, 50.1, "50 s"),
    ],
)
def test_for_a_person(low: float, high: float, said: str) -> None:
    assert duration(Span(low, high)) == said
