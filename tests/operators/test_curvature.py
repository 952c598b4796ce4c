"""Curvature as weight and as mask, against the worked numbers of the method cards (16, 18)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.operators.curvature import FfgWeight, OtaWeight
from tests.operators.applied import applied, close

THETAS = [[1.0, 2.0, 3.0], [3.0, 0.0, 3.0]]
FISHERS = [[4.0, 0.0, 0.0], [3.0, 1e-8, 0.0]]
ONE = 1e-6 / (4 / 3)  # the released code's floor, in units of the first Fisher's mean
OTHER = 1e-6 / ((3 + 1e-8) / 3)

TAUS = [[[2.0, 0.0], [1.0, 4.0]], [[4.0, 2.0], [0.0, 1.0]]]
MOMENTS = [[[4.0, 1.0], [1.0, 0.0]], [[16.0, 1.0], [4.0, 4.0]]]


def fisher(*floors: float, **options: Any) -> Tensor:
    each = [{"floor": floor} for floor in floors]
    return applied("fisher", THETAS, each, statistics=FISHERS, **options)


def ota(*each: dict[str, float], moments: Any = None, **options: Any) -> Tensor:
    return applied("ota", TAUS, each or None, statistics=moments or MOMENTS, **options)


def test_fisher_favours_the_model_that_has_a_floor() -> None:
    assert close(fisher(ONE, 0.0), [2, 1.973684, 3])
    assert close(fisher(ONE, 0.0, normalize=False), [1.857143, 1.980198, 3])


def test_fisher_with_a_floor_for_all() -> None:
    assert close(fisher(ONE, OTHER), [2, 0.857143, 3])


def test_fisher_is_the_mean_where_all_vanish() -> None:
    found = fisher(0.0, 0.0)
    assert close(found, [2, 0, 3])
    each = [{"weight": 3.0, "floor": 0.0}, {"weight": 1.0, "floor": 0.0}]
    assert close(applied("fisher", THETAS, each, statistics=[[0.0] * 3] * 2), [1.5, 1.5, 3])


def test_equal_fishers_make_the_mean() -> None:
    taus = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    statistics = [torch.rand(4, 5, generator=torch.Generator().manual_seed(1)) * 1e-12] * 3
    assert close(applied("fisher", taus, statistics=statistics), taus.mean(0))
    assert close(applied("fisher", taus, statistics=statistics, power=0.5), taus.mean(0))


def test_fisher_does_not_see_the_scale_of_one_models_fisher() -> None:
    scaled = [FISHERS[0], [value * 1e-9 for value in FISHERS[1]]]
    first = applied("fisher", THETAS, statistics=FISHERS)
    assert close(applied("fisher", THETAS, statistics=scaled), first)


def test_a_power_flattens() -> None:
    found = applied(
        "fisher", [[1.0], [3.0]], statistics=[[16.0], [1.0]], normalize=False, power=0.5
    )
    assert close(found, [(4 * 1 + 1 * 3) / 5])


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(CandidateError, match="sum to 0"):
        applied("fisher", THETAS, [{"weight": 0.0}] * 2, statistics=FISHERS)


def test_plain_ota() -> None:
    assert close(ota(), [[3.333333, 1], [0.333333, 1]])


def test_ota_with_thresholds() -> None:
    assert close(ota({"rho": 2.0}, {"rho": 4.0}), [[3.333333, 2], [0, 1]])


@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_ota_with_densities(scope: str) -> None:
    found = ota({"density": 0.25}, {"density": 0.75}, scope=scope)
    assert close(found, [[3.333333, 2], [0, 1]])


def test_ota_on_moments_of_rank_one() -> None:
    expected = [[3.287408, 1.337727], [0.265165, 1.731995]]
    assert close(applied("ota", TAUS, statistics=MOMENTS, moments="rank1"), expected)


def test_moments_as_small_as_real_ones_change_nothing() -> None:
    small = [[[v * 1e-20 for v in row] for row in moment] for moment in MOMENTS]
    assert close(ota(moments=small), ota())
    each = ({"density": 0.25}, {"density": 0.75})
    assert close(ota(*each, moments=small), ota(*each))
    compressed = applied("ota", TAUS, statistics=small, moments="rank1")
    assert close(compressed, applied("ota", TAUS, statistics=MOMENTS, moments="rank1"))


def test_normalizing_forgets_the_scale_of_one_models_moments() -> None:
    scaled = [MOMENTS[0], [[v * 1e-9 for v in row] for row in MOMENTS[1]]]
    assert close(ota(moments=scaled, normalize=True), ota(normalize=True))


def test_an_element_that_was_never_used_keeps_the_base() -> None:
    found = applied("ota", [[5.0, 1.0, 2.0]], [{"density": 0.7}], statistics=[[0.0, 1.0, 0.0]])
    assert close(found, [0, 1, 0])


def test_a_lone_survivor_keeps_its_whole_change() -> None:
    assert close(ota({"rho": 1e9}, {"rho": 0.0}), TAUS[1])


def test_ffg_is_the_mean_of_what_survives() -> None:
    each = [{"rho": 2.0}, {"rho": 4.0}]
    assert close(applied("ffg", TAUS, each, statistics=MOMENTS), [[3, 1], [0, 0.5]])
    summed = applied("ffg", TAUS, each, statistics=MOMENTS, normalize=False)
    assert close(summed, [[6, 2], [0, 1]])


def test_ffg_grafts_one_expert() -> None:
    found = applied("ffg", TAUS[:1], [{"density": 0.5}], statistics=MOMENTS[:1])
    assert close(found, [[2, 0], [1, 0]])


def test_a_share_or_a_threshold_but_not_both() -> None:
    with pytest.raises(ValueError, match="takes rho or a density"):
        OtaWeight(weight=1.0, rho=1.0, density=0.5)
    assert FfgWeight.model_validate({"rho": 1.0}).density == 1.0
    assert FfgWeight.model_validate({}).density == 0.3
