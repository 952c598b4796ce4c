"""Kernels compiled, in blocks and whole: the same bits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.merging import fusion, kernel
from evomerge.merging.draws import keys
from evomerge.merging.fusion import COMPILE, Kind
from evomerge.merging.kernel import run, weighted_sum
from evomerge.operators import operators
from evomerge.operators.base import Bernoulli, Plan
from evomerge.operators.selecting import _variance
from evomerge.operators.selection import Threshold

SIZE = 3001


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    """Nothing is compiled because another test met it."""
    fusion._heat.cache_clear()
    yield
    fusion._heat.cache_clear()


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


BASE = (drawn(0, SIZE) * 0.02).bfloat16()
EXPERTS = [(BASE.float() + drawn(seed, SIZE) * 0.002).bfloat16() for seed in (1, 2, 3)]
TAUS = [(expert.float() - BASE.float()) for expert in EXPERTS]
CUTS = [Threshold.of(tau, density) for tau, density in zip(TAUS, (0.2, 0.4, 0.7), strict=True)]
TOPS = [Threshold.of(tau, 0.02) for tau in TAUS]
WEIGHTS: dict[str, list[float]] = {"weight": [0.5, -0.25, 1.5], "lambda": [0.7], "factor": [0.7]}
DROPS: dict[str, Sequence[Bernoulli | float]] = {
    "keep": [Bernoulli(0.3), Bernoulli(1.0), Bernoulli(0.6)],
    "scale": [1.0, 2.0, -0.5],
}
RANKS = [drawn(seed, SIZE).argsort().to(torch.int16) for seed in (4, 5, 6)]
LADDER = {"floor": [0.1, 0.2, 0.3], "slope": [1e-4, 2e-4, 1e-4], "scale": [1.0, 0.5, 2.0]}
PLANS: dict[str, Plan] = {
    "ties": Plan(numbers={"cut": CUTS, **WEIGHTS}, switches=(True, "mass")),
    "consensus": Plan(
        numbers={"cut": CUTS, "threshold": [0.4] * 3, "k": [2.0], "lambda": [0.5]},
        switches=("ties",),
    ),
    "emr": Plan(numbers={"scale": [0.8]}, switches=(1,)),
    "dare_linear": Plan(numbers={**DROPS, **WEIGHTS}, random=True, switches=(False,)),
    "dare_ties": Plan(numbers={**DROPS, **WEIGHTS}, random=True, switches=(True,)),
    "della": Plan(
        numbers={**LADDER, **WEIGHTS},
        elements={"rank": RANKS},
        random=True,
        switches=(True, True),
    ),
    "della_linear": Plan(
        numbers={**LADDER, **WEIGHTS},
        elements={"rank": RANKS},
        random=True,
        switches=(False, False),
    ),
    "breadcrumbs": Plan(numbers={"lower": CUTS, "upper": TOPS, **WEIGHTS}, switches=(False, False)),
    "breadcrumbs_ties": Plan(
        numbers={"lower": CUTS, "upper": TOPS, **WEIGHTS}, switches=(False, True)
    ),
    "nearswap": Plan(numbers={"t": [0.001]}),
    "sce": Plan(
        numbers={
            "cut": [Threshold.of(_variance(TAUS), 0.3)],
            "share": [0.2, 0.3, 0.5],
            "lambda": [1.1],
        },
        switches=("all", True),
    ),
}


def merged(method: str, plan: Plan, **more: Any) -> Tensor:
    experts = EXPERTS[:1] if method == "nearswap" else EXPERTS
    vectors: list[tuple[Kind, Tensor | None]] = [("weights", expert) for expert in experts]
    named = [keys(7, "w", name) for name in "abc"]
    function = operators()[method].function
    return run(function, plan, BASE, vectors, more.get("dtype", torch.bfloat16), named)[0]


def test_every_elementwise_method_is_compiled() -> None:
    assert set(PLANS) == {name for name, one in operators().items() if one.plan is not None}


@pytest.mark.slow
@pytest.mark.parametrize("method", PLANS)
def test_compiled_eager_and_in_blocks_give_the_same_bits(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILE, "0")
    eager = merged(method, PLANS[method])
    assert not torch.equal(eager, BASE)
    monkeypatch.setattr(kernel, "BLOCK", 500)
    assert torch.equal(merged(method, PLANS[method]), eager)
    fusion._heat.cache_clear()
    monkeypatch.setenv(COMPILE, "1")
    assert torch.equal(merged(method, PLANS[method]), eager)
    monkeypatch.setattr(kernel, "LARGEST_RANGE", 700)
    assert torch.equal(merged(method, PLANS[method]), eager)


@pytest.mark.slow
def test_a_sum_compiled_is_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(numbers={"coefficient": [0.3, -1.2, 0.5]})
    change = drawn(9, SIZE)
    vectors: list[tuple[Kind, Tensor | None]]
    vectors = [("weights", EXPERTS[0]), ("nothing", None), ("change", change)]
    found = {}
    for how in "01":
        fusion._heat.cache_clear()
        monkeypatch.setenv(COMPILE, how)
        found[how], _ = run(weighted_sum, plan, BASE, vectors, torch.float32)
    expected = BASE.float() + (TAUS[0] * 0.3 + 0.0 + change * 0.5)
    assert torch.equal(found["0"], expected)
    assert torch.equal(found["1"], expected)


def test_a_form_is_compiled_once_it_is_hot(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []

    def compile(function: Any, **options: Any) -> Any:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.delenv(COMPILE, raising=False)
    ticks = itertools.count()
    monkeypatch.setattr(kernel, "perf_counter", lambda: 0.6 * next(ticks))
    seen = []
    for weight in (0.1, 0.2, 0.3, 0.4):
        plan = Plan(numbers={"coefficient": [weight]})
        run(weighted_sum, plan, BASE, [("weights", EXPERTS[0])], torch.bfloat16)
        seen.append(len(compiled))
    assert seen == [0, 0, 1, 1]


def test_without_a_compiler_it_runs_eagerly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compile(function: Any, **options: Any) -> Any:
        def broken(*operands: Any) -> Any:
            raise RuntimeError("no C++ compiler\nand more")

        return broken

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setenv(COMPILE, "1")
    first, second = merged("ties", PLANS["ties"]), merged("ties", PLANS["ties"])
    assert torch.equal(first, second)
    assert [record.message for record in caplog.records] == [
        "merging runs without torch.compile: no C++ compiler"
    ]


def test_the_largest_magnitude_tells_what_is_not_finite() -> None:
    plan = Plan(numbers={"coefficient": [1.0]})
    big = torch.tensor([1.0, 3e38])
    _, largest = run(weighted_sum, plan, None, [("weights", big)], torch.float32)
    assert largest == pytest.approx(3e38)
    _, largest = run(weighted_sum, plan, None, [("weights", big)], torch.float16)
    assert largest == float("inf")
    _, largest = run(
        weighted_sum, plan, None, [("weights", torch.tensor([float("nan"), 1.0]))], torch.float32
    )
    assert largest != largest


def test_an_empty_tensor_is_empty() -> None:
    plan = Plan(numbers={"coefficient": [1.0]})
    found, largest = run(weighted_sum, plan, None, [("weights", torch.empty(0, 3))], torch.bfloat16)
    assert (found.shape, largest) == ((0, 3), 0.0)


def test_cuts_take_numbers_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(
        numbers={"cut": [CUTS[0], -1.0, float("inf")], "weight": [1.0] * 3, "lambda": [1.0]},
        switches=(False, "mass"),
    )
    found = merged("ties", plan, dtype=torch.float32)

    def kept(i: int) -> Tensor:
        return TAUS[i] * CUTS[i].mask(TAUS[i])

    numbers: Mapping[str, Sequence[Tensor]] = {
        "cut": [torch.tensor(-1.0)] * 3,
        "weight": [torch.tensor(1.0)] * 3,
        "lambda": [torch.tensor(1.0)],
    }
    taus = [kept(0), TAUS[1], torch.zeros(SIZE)]
    expected = BASE.float() + operators()["ties"].function(taus, numbers, False, "mass")
    assert torch.equal(found, expected)
