"""Cuts by size, against the worked numbers of the method cards (10, 12)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.applied import F5, applied, close

V10 = [10, -9, 8, -7, 6, -5, 4, -3, 2, -1]


def crumbs(density: float, gamma: float) -> list[dict[str, float]]:
    return [{"weight": 1.0, "density": density, "gamma": gamma}]


def test_breadcrumbs_keep_the_middle() -> None:
    found = applied("breadcrumbs", [V10], crumbs(0.4, 0.1))
    assert close(found, [0, -9, 8, -7, 6, 0, 0, 0, 0, 0])
    assert close(applied("breadcrumbs", [V10], crumbs(0.4, 0)), [10, -9, 8, -7, *[0] * 6])


def test_breadcrumbs_drop_less_of_the_top_so_that_the_density_holds() -> None:
    assert close(applied("breadcrumbs", [V10], crumbs(0.9, 0.3)), [0, *V10[1:]])
    assert close(applied("breadcrumbs", [V10], crumbs(1.0, 0.3)), V10)


@given(st.integers(1, 40), st.floats(0.01, 1), st.floats(0, 0.5))
def test_breadcrumbs_keep_exactly_the_density(size: int, density: float, gamma: float) -> None:
    tau = torch.arange(1, size + 1).float()
    found = applied("breadcrumbs", [tau], crumbs(density, gamma))
    assert int((found != 0).sum()) == max(1, int(density * size + 1e-6))


@pytest.mark.parametrize("method", ["breadcrumbs", "breadcrumbs_ties"])
def test_breadcrumbs_in_rows_are_those_of_each_row(method: str) -> None:
    rows = torch.tensor([V10, V10[::-1], [1.0] * 10])
    found = applied(method, [rows], crumbs(0.4, 0.1), scope="row")
    assert close(found[0], [0, -9, 8, -7, 6, 0, 0, 0, 0, 0])
    assert close(found[1], [0, 0, 0, 0, 0, 6, -7, 8, -9, 0])
    assert close(found[2], [0, 1, 1, 1, 1, 0, 0, 0, 0, 0])  # of equal ones the first
    assert close(applied(method, [V10], crumbs(0.4, 0.1), scope="row"), found[0])


def test_breadcrumbs_ties_elects() -> None:
    each = [{"weight": 1.0, "density": 0.4, "gamma": 0.0}] * 3
    found = applied("breadcrumbs_ties", F5, each, normalize=True)
    assert close(found, [4, -3, -6, 5, -3])
    assert close(found, applied("ties", F5, [{"weight": 1.0, "density": 0.4}] * 3))


def test_nearswap_is_a_clip() -> None:
    assert close(applied("nearswap", [[0.05, -0.5, 0.2, 0]], t=0.1), [0.05, -0.1, 0.1, 0])
    assert close(applied("nearswap", [[0.05, -0.5]], t=0), [0, 0])


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_relative_nearswap_is_equivariant_to_scale(scale: float) -> None:
    tau = torch.tensor(F5[0], dtype=torch.float32)
    plain = applied("nearswap", [tau], t=0.5, relative=True)
    assert close(applied("nearswap", [tau * scale], t=0.5, relative=True) / scale, plain)
    assert float(plain.max()) == pytest.approx(0.5 * float(tau.square().mean().sqrt()))
