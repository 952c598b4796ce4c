"""Random drops, against the worked numbers of the method cards (8, 9)."""

from __future__ import annotations

import pytest
import torch

from tests.operators.applied import F5, applied, close

MASK = {0: [1, 1, 0, 0, 0]}


def params(values: list[float], **more: float) -> list[dict[str, float]]:
    return [{"weight": value, **more} for value in values]


def test_dare_rescales_by_density_or_to_the_same_l1_norm() -> None:
    one = params([1], density=0.6)
    kept = applied("dare_linear", F5[:1], one, masks=MASK)
    assert close(kept, [6.666667, -1.666667, 0, 0, 0])
    assert close(applied("dare_linear", F5[:1], one, masks=MASK, rescale="l1"), [8, -2, 0, 0, 0])
    assert close(applied("dare_linear", F5[:1], one, masks=MASK, rescale="none"), [4, -1, 0, 0, 0])


def test_dare_of_density_one_is_task_arithmetic_and_dare_ties_is_ties_untrimmed() -> None:
    three = params([1, 0.5, 2])
    assert close(applied("dare_linear", F5, three), [7, 1.5, -9.5, -5.5, -2.5])
    assert close(applied("dare_ties", F5, three, normalize=True), applied("ties", F5, three))


@pytest.mark.parametrize("method", ["dare_linear", "della_linear"])
def test_the_expectation_is_kept(method: str) -> None:
    tau = torch.linspace(-1, 3, 200_000).reshape(400, 500)
    found = applied(method, [tau], params([1], density=0.3, **_epsilon(method, 0.2)))
    assert float(found.mean()) == pytest.approx(1.0, abs=0.02)


def _epsilon(method: str, value: float) -> dict[str, float]:
    return {"epsilon": value} if method.startswith("della") else {}


def test_della_divides_each_survivor_by_its_own_probability() -> None:
    given = params([1], density=0.5, epsilon=0.2)
    masks = {0: [1, 0, 1, 1, 0]}
    assert close(applied("della", F5[:1], given, masks=masks), [5.714286, 0, 4, 0, 0])
    assert close(applied("della_linear", F5[:1], given, masks=masks), [5.714286, 0, 4, 0, 0])


def test_della_ranks_in_rows() -> None:
    given = params([1], density=0.5, epsilon=0.2)
    rows = torch.tensor([F5[0], F5[1]], dtype=torch.float32)
    masks = {0: [1, 0, 1, 1, 0, 1, 1, 1, 1, 1]}
    found = applied("della_linear", [rows], given, masks=masks)
    assert close(found[0], [5.714286, 0, 4, 0, 0])
    # Magnitudes 2, 3, 1, 5, 1 have ranks 2, 3, 0, 4, 1.
    assert close(found[1], [2 / 0.5, -3 / 0.6, 1 / 0.3, 5 / 0.7, 1 / 0.4])


def test_della_of_no_width_is_dare() -> None:
    for seed in range(3):
        dare = applied("dare_ties", F5, params([1, 2, 3], density=0.6), seed=seed)
        della = applied(
            "della", F5, params([1, 2, 3], density=0.6, epsilon=0), seed=seed, normalize=False
        )
        assert close(della, dare)


def test_della_of_one_column_keeps_by_density() -> None:
    tau = torch.ones(1000, 1)
    found = applied("della_linear", [tau], params([1], density=0.5, epsilon=0.2))
    assert set(found.flatten().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("density", [0.1, 0.15, 0.9])
def test_dellas_probabilities_stay_inside(density: float) -> None:
    with pytest.raises(ValueError, match="epsilon < density < 1 - epsilon"):
        applied("della", F5, params([1, 1, 1], density=density, epsilon=0.15))
