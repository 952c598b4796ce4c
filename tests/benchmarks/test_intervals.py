"""Answers that are as alike within a source as they are told to be."""

from __future__ import annotations

import numpy as np
import pytest
from intervals import answers, held

FORMS = [form for form in "abcdefghijklmnopqrst" for _ in range(10)]


def test_answers_have_their_mean_and_are_alike_within_a_source() -> None:
    rng = np.random.default_rng(3)
    drawn = np.array([answers(FORMS, 0.3, 0.4, rng) for _ in range(400)])
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.3, abs=0.02)
    same = np.corrcoef(drawn[:, 0:190:10].ravel(), drawn[:, 1:191:10].ravel())[0, 1]
    other = np.corrcoef(drawn[:, 0:190:10].ravel(), drawn[:, 10:200:10].ravel())[0, 1]
    assert same == pytest.approx(0.4, abs=0.05)
    assert other == pytest.approx(0.0, abs=0.05)


def test_shares_of_runs_are_counted_by_source() -> None:
    shares = held(FORMS, 0.5, 0.4, 100)
    assert shares["mean"] >= 0.88  # by example it would be 0.6
    assert shares["difference"] >= 0.88
    assert shares["called"] <= 0.12
    assert held(FORMS, 0.5, 0.4, 100) == shares
