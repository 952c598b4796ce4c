"""What holds for every method (method cards, section 0.4 and appendix C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evomerge.operators import signatures
from tests.operators.applied import applied

COUNT = 3
NAMES = "abc"
FEW = settings(max_examples=25)
"""Of each of sixty methods: what is drawn is a seed, and what is wrong is wrong for most."""


@dataclass(frozen=True)
class Case:
    """A method with parameters that are neither neutral nor extreme."""

    method: str
    each: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    count: int = COUNT

    def __str__(self) -> str:
        shown = [*self.options.values(), *self.each.values()]
        return f"{self.method}-{'-'.join(map(str, shown))}"

    def __call__(self, taus: Sequence[Tensor] | Tensor, **more: Any) -> Tensor:
        each = more.pop("each", None) or self.parameters(len(taus))
        more.setdefault("statistics", measured(self.method, len(taus), taus[0].shape))
        return applied(self.method, taus, each, **{**self.options, **more})

    def parameters(self, count: int) -> list[dict[str, Any]]:
        """One set an input, none like another where there are weights."""
        shared = dict(self.each)
        weights = [1.0, 0.5, 2.0]
        takes = "weight" in signatures()[self.method].each.model_fields
        return [shared | ({"weight": weights[i]} if takes else {}) for i in range(count)]


LINEAR_IN_SCALE = [
    Case("task_arithmetic"),
    Case("negate"),
    Case("nuslerp", count=2),
    Case("nuslerp", options={"scope": "row"}, count=2),
    Case("multislerp"),
    Case("karcher"),
    Case("model_stock"),
    Case("model_stock", options={"scope": "row"}),
    Case("varm"),
    Case("delta_weighted"),
    Case("delta_weighted", options={"q": "inf", "kappa": -1.0}),
    Case("lines", options={"alpha": 0.2, "beta": 0.6}, count=1),
    Case("lorahub"),
    Case("mwa_factors", each={"metric": 2.0}),
    Case("ties", each={"density": 0.5}),
    Case("ties", each={"density": 0.5}, options={"scope": "global", "sign": "count"}),
    Case("dare_linear", each={"density": 0.5}),
    Case("dare_ties", each={"density": 0.5}, options={"rescale": "l1"}),
    Case("della", each={"density": 0.5, "epsilon": 0.2}),
    Case("della_linear", each={"density": 0.5, "epsilon": 0.2}),
    Case("breadcrumbs", each={"density": 0.5, "gamma": 0.1}),
    Case("breadcrumbs_ties", each={"density": 0.5, "gamma": 0.1}),
    Case("breadcrumbs", each={"density": 0.5, "gamma": 0.1}, options={"scope": "row"}),
    Case("nearswap", options={"t": 0.5, "relative": True}, count=1),
    Case("sce", options={"select_topk": 0.5}),
    Case("sce", options={"select_topk": 0.5, "select_scope": "weights_only"}),
    Case("consensus"),
    Case("consensus", options={"merged": "ties", "k": 1}),
    Case("emr"),
    Case("emr", options={"restore": "b"}),
    Case("tsvm"),
    Case("resm"),
    Case("iso_c"),
    Case("iso_cts"),
    Case("opcm"),
    Case("singular_noise"),
    Case("fisher"),
    Case("fisher", each={"floor": 0.0}, options={"power": 0.5, "normalize": False}),
    Case("regmean"),
    Case("ota"),
    Case("ota", each={"density": 0.5}, options={"moments": "rank1", "normalize": True}),
    Case("ffg", each={"density": 0.5}),
    Case("ffg", each={"density": 0.5}, options={"scope": "tensor", "normalize": False}),
    Case("adamerging"),
    Case("expert_merging"),
]
OTHERS = [
    Case("nearswap", options={"t": 0.5}, count=1),  # in weight units
    Case("arcee_fusion", count=1),  # the softmax of the weights
    Case("pcb", options={"ratio": 0.5}),  # tanh
    Case("pcb", options={"ratio": 0.5, "variant": "norm", "clip": 0.1}),
    Case("widen"),  # lengths and angles of columns
    Case("lora_lego", options={"k": 2}),  # sizes of A and B beside each other
    Case("lora_lego", options={"k": 2, "feature": "raw"}),
]
ON_WEIGHTS = [
    Case("linear"),
    Case("uniform_soup"),
    Case("mwa", each={"metric": 2.0}),
    Case("slerp", options={"t": 0.3}, count=2),
]
ON_TASK_VECTORS = [*LINEAR_IN_SCALE, *OTHERS]
every = pytest.mark.parametrize("case", [*ON_TASK_VECTORS, *ON_WEIGHTS], ids=str)
on_task_vectors = pytest.mark.parametrize("case", ON_TASK_VECTORS, ids=str)


def measured(method: str, count: int, shape: Sequence[int]) -> list[Tensor | None] | None:
    """Statistics of a tensor of that shape, as small as real ones; some elements were never used.

    Each input's follow from its number.
    """
    kind = signatures()[method].statistics
    if kind is None:
        return None
    found: list[Tensor | None] = []
    for i in range(count):
        if kind == "coefficients":
            found.append(drawn(30 + i, 1, 2 if i and len(shape) == 2 and shape[0] > 1 else 1)[0])
        elif kind == "gram" and len(shape) != 2:
            found.append(None)
        else:
            values = drawn(30 + i, 1, *shape)[0] * 1e-10
            values[..., 0] = 0
            found.append(values.T @ values if kind == "gram" else values.square())
    return found


def drawn(seed: int, count: int, *shape: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
@every
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (5,), (1,), (1, 1), (6, 1), (1, 6), (2, 2)])
def test_it_is_finite_for_awkward_tensors(case: Case, shape: tuple[int, ...]) -> None:
    base = drawn(9, 1, *shape)[0]
    awkward = {
        "ordinary": drawn(1, case.count, *shape),
        "one frozen": torch.cat([torch.zeros(1, *shape), drawn(2, case.count - 1, *shape)]),
        "constant": torch.ones(case.count, *shape),
        "equal": drawn(3, 1, *shape).repeat(case.count, *(1 for _ in shape)),
        "opposite": drawn(4, 1, *shape)
        * torch.tensor([1.0, -1.0, 1.0])[: case.count].view(-1, *(1 for _ in shape)),
        "tiny": drawn(5, case.count, *shape) * 1e-20,
        "huge": drawn(6, case.count, *shape) * 1e8,
        "base of zeros": drawn(7, case.count, *shape),
    }
    assert len(awkward) == 8
    for what, taus in awkward.items():
        found = case(taus, base=base * (what != "base of zeros"))
        assert found.shape == shape, what
        assert bool(found.isfinite().all()), what


@pytest.mark.slow
@pytest.mark.parametrize("case", LINEAR_IN_SCALE, ids=str)
@FEW
@given(seed=st.integers(0, 99), scale=st.sampled_from([1e-4, 1e4]))
def test_scale_equivariance(case: Case, seed: int, scale: float) -> None:
    taus = drawn(seed, case.count, 6, 5)
    base = drawn(seed + 100, 1, 6, 5)[0]
    plain = case(taus, base=base)
    scaled = case(taus * scale, base=base) / scale
    assert torch.allclose(scaled, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


# Not of methods of fewer experts, nor of one that merges one after another.
UNORDERED = [
    case
    for case in (*ON_TASK_VECTORS, *ON_WEIGHTS)
    if case.count == COUNT and case.method != "opcm"
]


@pytest.mark.slow
@pytest.mark.parametrize("case", UNORDERED, ids=str)
@FEW
@given(seed=st.integers(0, 99), order=st.permutations(range(COUNT)))
def test_the_order_of_the_experts_does_not_matter(
    case: Case, seed: int, order: Sequence[int]
) -> None:
    taus, each = drawn(seed, COUNT, 4, 3), case.parameters(COUNT)
    statistics = measured(case.method, COUNT, (4, 3))
    turned = case(
        taus[list(order)],
        each=[each[i] for i in order],
        names=[NAMES[i] for i in order],
        statistics=[statistics[i] for i in order] if statistics else None,
    )
    assert torch.allclose(case(taus, names=NAMES), turned, atol=1e-4)


NEUTRAL = {
    "task_arithmetic": {},
    "ties": {},
    "dare_linear": {},
    "dare_ties": {},
    "breadcrumbs": {"gamma": 0.0},
    "breadcrumbs_ties": {"gamma": 0.0},
    "sce": None,
    "varm": None,
    "delta_weighted": None,
    "tsvm": {},
    "iso_c": {},
    "linear": {},
    "uniform_soup": None,
    "lora_lego": {},
    "lorahub": {},
}


@pytest.mark.parametrize("method", NEUTRAL)
@given(seed=st.integers(0, 99))
def test_a_single_expert_with_neutral_settings_is_itself(method: str, seed: int) -> None:
    tau = drawn(seed, 1, 4, 3)
    own = NEUTRAL[method]
    more: dict[str, Any] = {"flatten": 0.0} if method == "iso_c" else {}
    found = applied(method, tau, None if own is None else [{"weight": 1.0, **own}], **more)
    assert torch.allclose(found, tau[0], atol=1e-5)


@pytest.mark.parametrize("method", ["ties", "dare_ties", "della", "breadcrumbs_ties"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_negative_weight_is_not_a_positive_one(method: str, normalize: bool) -> None:
    taus = drawn(0, 1, 4, 3)
    positive = applied(method, taus, [{"weight": 0.5}], normalize=normalize)
    negative = applied(method, taus, [{"weight": -0.5}], normalize=normalize)
    assert torch.allclose(positive, -negative)
    assert bool(positive.any())
