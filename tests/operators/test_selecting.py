"""SCE and PCB, against the worked numbers of the method cards (13, 15)."""

from __future__ import annotations

import pytest
import torch

from tests.operators.applied import F5, applied, close

PAIR = [[0.4, -0.1, 0.2, 0.05, -0.3], [0.2, -0.3, 0.1, 0.5, 0.1]]


def test_sce_over_all_positions() -> None:
    assert close(applied("sce", F5), [2.023622, -2.142857, -6, 5, -3])


def test_sce_selects_positions_for_the_merge_or_for_the_weights_only() -> None:
    assert close(applied("sce", F5, select_topk=0.6), [0, -2.75, -6, 5, 0])
    only = applied("sce", F5, select_topk=0.6, select_scope="weights_only")
    assert close(only, [1.520833, -2.75, -6, 5, -3])


@pytest.mark.parametrize("topk", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_sce_weighs_small_changes_as_it_does_large_ones(scale: float, topk: float) -> None:
    plain = applied("sce", F5, select_topk=topk)
    scaled = torch.tensor(F5, dtype=torch.float32) * scale
    assert close(applied("sce", scaled, select_topk=topk) / scale, plain, 1e-4)


def test_sce_where_nothing_differs() -> None:
    assert close(applied("sce", [F5[0]], select_topk=0.5), F5[0])
    assert close(applied("sce", [F5[0], F5[0]], select_topk=0.5), F5[0])
    assert close(applied("sce", torch.zeros(3, 4)), [0] * 4)


@pytest.mark.parametrize("variant", ["raw", "norm"])
def test_pcb_keeps_what_is_large_and_agreed_on(variant: str) -> None:
    found = applied("pcb", PAIR, ratio=0.6, variant=variant)
    assert close(found, [0.4, -0.3, 0, 0.5, -0.3])


def test_pcb_clips_outliers() -> None:
    tau = torch.cat([torch.linspace(-1, 1, 99), torch.tensor([100.0])])
    other = torch.linspace(1, 2, 100)
    free = applied("pcb", [tau, other], ratio=0.5)
    held = applied("pcb", [tau, other], ratio=0.5, clip=0.01)
    assert float(free.max()) > 50
    assert float(held.max()) < 3


def test_pcb_of_nothing_or_of_constants_is_finite() -> None:
    assert close(applied("pcb", [[0, 0, 0], [0, 0, 0]]), [0, 0, 0])
    assert bool(applied("pcb", [[0, 0, 0], [1, -2, 3]], ratio=0.5).isfinite().all())
    assert close(applied("pcb", [[1, 1], [1, 1]], ratio=0.5), [0, 0])
