"""Kernels compiled, in blocks and whole: the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor.utils import fresh_cache, run_and_get_code

from evomerge.merging.compilation import COMPILE, ONE_PASS_S, Compilation, compiled
from evomerge.merging.draws import keys
from evomerge.merging.fusion import Kind, Specialization
from evomerge.merging.kernel import Passes, run, weighted_sum
from evomerge.operators import operators
from evomerge.operators.base import Bernoulli, KernelPlan
from evomerge.operators.selection import Threshold

SIZE = 3001


def passes(setting: str, **pieces: int) -> Passes:
    """With code of their own: nothing is compiled because another test met it."""
    return Passes(compilation=Compilation(setting), **pieces)


EAGER = passes("0")


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
PLANS: dict[str, KernelPlan] = {
    "ties": KernelPlan(numbers={"cut": CUTS, **WEIGHTS}, switches=(True, "mass")),
    "consensus": KernelPlan(
        numbers={"cut": CUTS, "threshold": [0.4] * 3, "k": [2.0], "lambda": [0.5]},
        switches=("ties",),
    ),
    "emr": KernelPlan(numbers={"scale": [0.8]}, switches=(1,)),
    "dare_linear": KernelPlan(numbers={**DROPS, **WEIGHTS}, random=True, switches=(False,)),
    "dare_ties": KernelPlan(numbers={**DROPS, **WEIGHTS}, random=True, switches=(True,)),
    "della": KernelPlan(
        numbers={**LADDER, **WEIGHTS},
        elements={"rank": RANKS},
        random=True,
        switches=(True, True),
    ),
    "della_linear": KernelPlan(
        numbers={**LADDER, **WEIGHTS},
        elements={"rank": RANKS},
        random=True,
        switches=(False, False),
    ),
    "breadcrumbs": KernelPlan(
        numbers={"lower": CUTS, "upper": TOPS, **WEIGHTS}, switches=(False, False)
    ),
    "breadcrumbs_ties": KernelPlan(
        numbers={"lower": CUTS, "upper": TOPS, **WEIGHTS}, switches=(False, True)
    ),
    "nearswap": KernelPlan(numbers={"t": [0.001]}),
    "sce": KernelPlan(
        numbers={
            "cut": [Threshold.of(torch.stack(TAUS).var(dim=0), 0.3)],
            "share": [0.2, 0.3, 0.5],
            "lambda": [1.1],
        },
        switches=("all", True),
    ),
}


def merged(
    method: str, plan: KernelPlan, passes: Passes = EAGER, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    experts = EXPERTS[:1] if method == "nearswap" else EXPERTS
    vectors: list[tuple[Kind, Tensor | None]] = [("weights", expert) for expert in experts]
    named = [keys(7, "w", name) for name in "abc"]
    function = operators()[method].function
    return run(function, plan, BASE, vectors, dtype, named, passes=passes)[0]


def test_every_elementwise_method_is_compiled() -> None:
    assert set(PLANS) == {name for name, one in operators().items() if one.plan is not None}


@pytest.mark.slow
@pytest.mark.parametrize("method", PLANS)
def test_compiled_eager_and_in_blocks_give_the_same_bits(method: str) -> None:
    eager = merged(method, PLANS[method])
    assert not torch.equal(eager, BASE)
    assert torch.equal(merged(method, PLANS[method], passes("0", block=500)), eager)
    at_once = Compilation("1")
    for largest in (1 << 30, 700):
        fused = Passes(compilation=at_once, largest=largest)
        assert torch.equal(merged(method, PLANS[method], fused), eager)


@pytest.mark.slow
def test_what_suits_another_processor_gives_the_same_bits() -> None:
    other = Passes(compilation=Compilation("1", partial(compiled, vectors="AVX2")))
    with fresh_cache():  # another test may have compiled it
        result, (code,) = run_and_get_code(merged, "ties", PLANS["ties"], other)
    assert torch.equal(result, merged("ties", PLANS["ties"]))
    assert loops(code) == 1


@pytest.mark.slow
def test_the_first_tensor_does_not_decide_how_all_are_merged() -> None:
    """Compiled for one of two elements: with vectors, for all threads, and in one loop."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (_, largest), (code,) = run_and_get_code(
            run,
            weighted_sum,
            KernelPlan(numbers={"coefficient": [1.2]}),
            None,
            [("weights", torch.tensor([1.0, 6e4]))],
            torch.float16,
            passes=passes("1"),
        )
    finally:
        torch.set_num_threads(threads)
    assert "omp parallel" in code
    assert "at::vec::" in code
    assert loops(code) == 1
    assert largest == math.inf  # 72,000 overflows as it is rounded


def loops(code: str) -> int:
    """How often the compiled code goes through the elements."""
    return code.count("for(int64_t x0=")


@pytest.mark.slow
def test_a_sum_compiled_is_the_sum() -> None:
    plan = KernelPlan(numbers={"coefficient": [0.3, -1.2, 0.5]})
    change = drawn(9, SIZE)
    vectors: list[tuple[Kind, Tensor | None]]
    vectors = [("weights", EXPERTS[0]), ("nothing", None), ("change", change)]
    found = {}
    for how in "01":
        found[how], _ = run(weighted_sum, plan, BASE, vectors, torch.float32, passes=passes(how))
    expected = BASE.float() + (TAUS[0] * 0.3 + 0.0 + change * 0.5)
    assert torch.equal(found["0"], expected)
    assert torch.equal(found["1"], expected)


class Counted:
    """A compiler that leaves functions as they are and counts them."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        self.times += 1
        return function


class Slow(Compilation):
    """Every eager pass takes 0.6 s."""

    def spent(self, specialization: Specialization, seconds: float) -> None:
        assert seconds > 0
        super().spent(specialization, 0.6)


@pytest.mark.parametrize(
    ("setting", "expected"), [("", [0, 0, 1, 1]), ("0", [0] * 4), ("1", [1] * 4)]
)
def test_a_form_is_compiled_once_it_is_hot(setting: str, expected: list[int]) -> None:
    compiler = Counted()
    slow = Passes(compilation=Slow(setting, compiler))
    seen = []
    for weight in (0.1, 0.2, 0.3, 0.4):
        plan = KernelPlan(numbers={"coefficient": [weight]})
        run(weighted_sum, plan, BASE, [("weights", EXPERTS[0])], torch.bfloat16, passes=slow)
        seen.append(compiler.times)
    assert seen == expected


@pytest.mark.parametrize(("setting", "times"), [("0", 0), ("1", 1)])
def test_the_environment_says_when(
    setting: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILE, setting)
    compiler = Counted()
    merged("ties", PLANS["ties"], Passes(compilation=Compilation(compiler=compiler)))
    assert compiler.times == times


def test_who_writes_one_model_waits_until_compiling_pays() -> None:
    compiler = Counted()
    patient = Passes(compilation=Slow("", compiler, hot_s=ONE_PASS_S))
    for weight in (0.1, 0.2, 0.3, 0.4):
        plan = KernelPlan(numbers={"coefficient": [weight]})
        run(weighted_sum, plan, BASE, [("weights", EXPERTS[0])], torch.bfloat16, passes=patient)
    assert compiler.times == 0


def test_without_a_compiler_it_runs_eagerly(caplog: pytest.LogCaptureFixture) -> None:
    def compiler(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def broken(*operands: Any) -> Tensor:
            raise RuntimeError("no C++ compiler\nand more")

        return broken

    broken = Passes(compilation=Compilation("1", compiler))
    first, second = (merged("ties", PLANS["ties"], broken) for _ in range(2))
    assert torch.equal(first, second)
    assert [record.message for record in caplog.records] == [
        "merging runs without torch.compile: no C++ compiler"
    ]


def test_the_largest_magnitude_tells_what_is_not_finite() -> None:
    plan = KernelPlan(numbers={"coefficient": [1.0]})
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
    plan = KernelPlan(numbers={"coefficient": [1.0]})
    found, largest = run(weighted_sum, plan, None, [("weights", torch.empty(0, 3))], torch.bfloat16)
    assert (found.shape, largest) == ((0, 3), 0.0)


def test_cuts_take_numbers_for_everything() -> None:
    plan = KernelPlan(
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
