"""Length scales: as the number of genes and their importance have it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("botorch")

from evomerge.optimizers.gene_kernel import length_medians

IMPORTANCE = (1.0,) * 5 + (0.05,) * 31


def test_length_scales_follow_importance_and_the_model_is_no_more_complex() -> None:
    flat, right = length_medians(36, None), length_medians(36, IMPORTANCE)
    assert flat == pytest.approx(np.full(36, np.exp(np.sqrt(2)) * 6))
    assert np.sum(right**-2.0) == pytest.approx(np.sum(flat**-2.0))
    assert right[-1] == pytest.approx(20**0.5 * right[0])
    assert length_medians(36, (0.3,) * 36) == pytest.approx(flat)
