"""The contract of merge methods as a suite: what an operator must pass, ours and yours.

A plugin's test is

    @pytest.mark.parametrize("law", LAWS)
    def test_contract(law):
        LAWS[law](OperatorSubject(operator=operator_of("mine", mine), each={"density": 0.5}))

Each law is a function that returns if the method keeps it and raises `LawBroken` if not. They apply
it to a few small tensors, by the merge's own context; torch is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from evomerge.conformance.laws import LawBroken, require
from evomerge.merging.bank import Bank
from evomerge.merging.context import BankContext
from evomerge.merging.kernel import run, weighted_sum
from evomerge.merging.vectors import Operands, require_finite
from evomerge.models.anatomy import anatomy_of
from evomerge.operators.base import KernelPlan, Operator
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.signature import Taken

__all__ = ["LAWS", "LawBroken", "OperatorSubject"]

TENSOR = "model.layers.0.mlp.up_proj.weight"
SHAPES = ((4, 3), (3, 4), (5,), (1,), (1, 1), (6, 1), (1, 6))
NAMES = "abcdefgh"
WEIGHTS = (1.0, 0.5, 2.0)


@dataclass(frozen=True, kw_only=True)
class OperatorSubject:
    """A merge method under test, with parameters that are neither neutral nor extreme."""

    operator: Operator
    each: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of each input, beside `weight`, of which each gets another."""
    options: Mapping[str, Any] = field(default_factory=dict)
    count: int = 3
    """How many vectors it is given; an anchor is the first of them."""
    ordered: bool = False
    """Whether the order of the inputs matters, as where they are merged one after another."""
    linear: bool = False
    """Whether changes of twice the size make a change of twice the size."""
    statistic: Callable[[int, Sequence[int]], Tensor | None] | None = None
    """Input, shape -> its statistics of a tensor, where the method needs some."""

    weights: Sequence[float] = WEIGHTS
    """Of the inputs, where the method takes weights."""

    def parameters(self) -> list[dict[str, Any]]:
        """One set an input."""
        count = self.count - (self.operator.signature.base == "anchor")
        takes = "weight" in self.operator.signature.each.model_fields
        return [
            dict(self.each) | ({"weight": self.weights[i % len(self.weights)]} if takes else {})
            for i in range(count)
        ]

    def apply(self, taus: Tensor, *, seed: int = 0, order: Sequence[int] | None = None) -> Tensor:
        """The change that the method makes of task vectors (inputs, *shape), float32."""
        signature, parameters = self.operator.signature, self.parameters()
        order = range(len(parameters)) if order is None else order
        first = len(taus) - len(parameters)  # an anchor stays where it is
        rows = [*taus[:first], *(taus[first + i] for i in order)]
        shape = tuple(taus.shape[1:])
        statistics = [self.statistic(i, shape) if self.statistic else None for i in order]
        shared = signature.shared.model_validate(dict(self.options))
        own = [signature.each.model_validate(parameters[i]) for i in order]
        context = BankContext(
            bank=Bank([]),
            tensor=TENSOR,
            place=anatomy_of([TENSOR]).place(TENSOR),
            names=[NAMES[i] for i in order],
            layers=1,
            seed=seed,
            shape=shape,
            whole=lambda: _Given(torch.zeros(shape), rows),
            keys=[None] * len(rows),
            everywhere=lambda i: iter([(TENSOR, rows[i])]),
            survey=list,
            statistics=lambda i: _Measured(statistics[i]),
        )
        rounds: list[Mapping[str, float]] = []
        if self.operator.survey:
            for _ in range(self.operator.rounds(len(own))):
                asked = replace(context, survey=rounds.copy)
                rounds.append(self.operator.survey(rows, shared, own, asked))
            context = replace(context, survey=lambda: rounds)
        return _applied(self.operator, rows, shared, own, context)


@dataclass(frozen=True)
class _Given(Operands):
    """Task vectors as they are, instead of weights from which a base is taken off."""

    def whole(self, i: int) -> Tensor:
        return torch.as_tensor(self.vectors[i]).clone()


@dataclass(frozen=True)
class _Measured:
    """Statistics of one tensor, whatever their kind."""

    value: Tensor | None

    def has(self, kind: str, name: str) -> bool:
        return self.value is not None

    def tensor(self, kind: str, name: str) -> Tensor:
        assert self.value is not None
        return self.value

    def norm(self, kind: str) -> float:
        return float(self.tensor(kind, "").norm())


def _applied(
    operator: Operator, rows: list[Tensor], shared: Any, own: Sequence[Any], context: BankContext
) -> Tensor:
    zeros, changes = torch.zeros_like(rows[0]), [("change", row) for row in rows]
    kinds: Any = changes
    if operator.signature.family == "span":
        coefficients = operator.function(shared, own, context)
        require_finite(coefficients)
        if np.ndim(coefficients) == 2:
            return _Given(zeros, rows).summed_by_rows(coefficients)
        plan = KernelPlan(numbers={"coefficient": [float(number) for number in coefficients]})
        return run(weighted_sum, plan, zeros, kinds, torch.float32)[0]
    if operator.plan is not None:
        plan = operator.plan(shared, own, context)
        keys = context.keys_of_draws()
        return run(operator.function, plan, zeros, kinds, torch.float32, keys)[0]
    if operator.signature.family == "adapter":
        factors = [_low_rank(row) for row in rows]
        changed: LowRank = operator.function(factors, shared, own, context)
        return changed.dense().reshape(rows[0].shape)
    dense: Tensor = operator.function(rows, shared, own, context)
    return dense


def _low_rank(matrix: Tensor) -> LowRank:
    a = matrix.reshape(-1, matrix.shape[-1]).clone()
    return LowRank(a, torch.eye(a.shape[0]), 1.0)


def it_says_what_it_is(subject: OperatorSubject) -> None:
    """A summary of one sentence, a source, and ranges worth searching of parameters it takes."""
    signature = subject.operator.signature
    require(signature.summary.endswith("."), "the docstring's first line is a sentence")
    require(bool(signature.citation), "the method says where it comes from")
    fields = {**signature.shared.model_fields, **signature.each.model_fields}
    known = {info.alias or name for name, info in fields.items()}
    require(signature.search_ranges.keys() <= known, "ranges are of parameters that it takes")


def options_are_checked(subject: OperatorSubject) -> None:
    """What it does not know is refused."""
    signature = subject.operator.signature
    cases = [(signature.shared, dict(subject.options)), (signature.each, subject.parameters()[0])]
    for model, data in cases:
        model.model_validate(data)
        try:
            model.model_validate({**data, "no_such_option": 1})
        except ValidationError:
            continue
        raise LawBroken(f"{model.__name__} takes an option that it does not know")


def vectors_stay_as_they_are(subject: OperatorSubject) -> None:
    """The method is pure: it changes none of the tensors that it is given."""
    taus = _draw(1, subject.count, 4, 3)
    before = taus.clone()
    subject.apply(taus)
    require(torch.equal(taus, before), "the vectors stay as they are")


def it_repeats_itself(subject: OperatorSubject) -> None:
    """The same vectors, parameters and seed give the same bits, whatever was merged in between."""
    taus = _draw(2, subject.count, 4, 3)
    first = subject.apply(taus)
    subject.apply(_draw(3, subject.count, 4, 3), seed=9)
    require(torch.equal(first, subject.apply(taus)), "the same merge gives the same bits")


def global_generators_are_untouched(subject: OperatorSubject) -> None:
    """Random draws come from the context, seeded by recipe, tensor and input."""
    torch_before, numpy_before = torch.get_rng_state(), _numpy_state()
    subject.apply(_draw(4, subject.count, 4, 3))
    require(torch.equal(torch_before, torch.get_rng_state()), "torch's generator is untouched")
    require(numpy_before == _numpy_state(), "numpy's generator is untouched")


def shape_and_precision_stay(subject: OperatorSubject) -> None:
    """The result is float32, of the vectors' shape, whatever that is."""
    for shape in SHAPES:
        merged = subject.apply(_draw(5, subject.count, *shape))
        require(tuple(merged.shape) == shape, f"the shape {shape} stays")
        require(merged.dtype == torch.float32, "the result is float32")


def no_change_makes_no_change(subject: OperatorSubject) -> None:
    """Where no input changed the base, nothing is added to it."""
    for shape in SHAPES:
        merged = subject.apply(torch.zeros(subject.count, *shape))
        require(not bool(merged.any()), f"zeros of {shape} make zeros")


def awkward_tensors_are_finite(subject: OperatorSubject) -> None:
    """Equal, constant, tiny, huge and partly empty changes give finite numbers."""
    for shape in SHAPES:
        ordinary = _draw(6, subject.count, *shape)
        one_empty = ordinary.clone()
        one_empty[0] = 0
        equal = ordinary[:1].repeat(subject.count, *(1 for _ in shape))
        for taus in (ordinary, one_empty, equal, torch.ones_like(ordinary), ordinary * 1e-20):
            require(bool(subject.apply(taus).isfinite().all()), f"finite for {shape}")
        require(bool(subject.apply(ordinary * 1e8).isfinite().all()), f"finite for huge {shape}")


def order_of_inputs_is_invisible(subject: OperatorSubject) -> None:
    """Inputs are a mapping: another order gives the same merge, but for rounding."""
    if subject.ordered:
        return
    taus = _draw(7, subject.count, 4, 3)
    merged, count = subject.apply(taus), len(subject.parameters())
    turned = subject.apply(taus, order=[*range(1, count), 0])
    require(torch.allclose(merged, turned, atol=1e-4), "the order of inputs does not matter")


def scale_goes_through(subject: OperatorSubject) -> None:
    """Where it is declared linear in scale: larger changes make a larger change."""
    if not subject.linear:
        return
    taus = _draw(8, subject.count, 6, 5)
    merged = subject.apply(taus)
    for scale in (1e-4, 1e4):
        scaled = subject.apply(taus * scale) / scale
        close = torch.allclose(scaled, merged, rtol=1e-3, atol=1e-3 * float(merged.abs().max()))
        require(close, f"changes times {scale:g} make the change times {scale:g}")


def a_sole_input_comes_back(subject: OperatorSubject) -> None:
    """Where it says that the result is one of the inputs, or the base, so it is."""
    taus = _draw(9, subject.count, 4, 3)
    for each in (subject.each, {}):
        for chosen in range(subject.count):
            weights = [float(i == chosen) for i in range(subject.count)]
            alone = replace(subject, each=each, weights=weights)
            try:
                taken = _sole(alone)
            except ValidationError:  # a parameter has no default
                continue
            if taken is None:
                continue
            merged = alone.apply(taus)
            wanted = torch.zeros_like(merged) if taken == "base" else taus[taken]
            require(torch.allclose(merged, wanted, atol=1e-5), f"{taken} is what comes back")


def _sole(subject: OperatorSubject) -> Taken:
    signature = subject.operator.signature
    if signature.base == "anchor":
        return None  # its base is an operand itself
    shared = signature.shared.model_validate(dict(subject.options))
    own = [signature.each.model_validate(parameters) for parameters in subject.parameters()]
    return signature.sole(shared, own)


LAWS: Mapping[str, Callable[[OperatorSubject], None]] = {
    law.__name__: law
    for law in (
        it_says_what_it_is,
        options_are_checked,
        vectors_stay_as_they_are,
        it_repeats_itself,
        global_generators_are_untouched,
        shape_and_precision_stay,
        no_change_makes_no_change,
        awkward_tensors_are_finite,
        order_of_inputs_is_invisible,
        scale_goes_through,
        a_sole_input_comes_back,
    )
}
"""Every law by name."""


def _draw(seed: int, count: int, *shape: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def _numpy_state() -> tuple[bytes, int]:
    _, keys, position, *_ = np.random.get_state()
    return np.asarray(keys).tobytes(), int(position)
