"""Every built-in method keeps the contract, and the suite notices those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.conformance.operators import LAWS, LawBroken, OperatorSubject
from evomerge.operators import OPERATORS
from evomerge.operators.base import TensorContext, operator, operator_of
from evomerge.operators.parameters import Nothing, Weight
from evomerge.recipe.signature import Sole
from tests.operators.test_properties import (
    LINEAR_IN_SCALE,
    ON_TASK_VECTORS,
    ON_WEIGHTS,
    Case,
    measured,
)

CASES = [*ON_TASK_VECTORS, *ON_WEIGHTS]


def subject(case: Case) -> OperatorSubject:
    def statistic(i: int, shape: Sequence[int]) -> Tensor | None:
        drawn = measured(case.method, i + 1, shape)
        return None if drawn is None else drawn[i]

    return OperatorSubject(
        operator=OPERATORS.get(case.method),
        each=case.each,
        options=case.options,
        count=case.count,
        ordered=case.method == "opcm" or case.count < 3,
        linear=case in LINEAR_IN_SCALE,
        statistic=statistic,
    )


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_built_in(case: Case, law: str) -> None:
    LAWS[law](subject(case))


def test_no_method_is_left_out() -> None:
    assert {case.method for case in CASES} == set(OPERATORS.built_in)


def dense(
    name: str,
    function: Any,
    summary: str = "Does something wrong.",
    sole: Sole = lambda options, each: None,
) -> OperatorSubject:
    """A subject whose method is a function of the task vectors, the context and the options."""

    def method(taus: Sequence[Tensor], options: Any, each: Any, context: TensorContext) -> Tensor:
        result: Tensor = function(list(taus), context)
        return result

    method.__doc__ = summary
    marked = operator(
        name,
        family="matrix",
        base="origin",
        shared=Nothing,
        each=Weight,
        citation="None.",
        sole=sole,
    )(method)
    return OperatorSubject(operator=operator_of(name, marked), linear=True)


BROKEN = {
    "it_says_what_it_is": dense("a", lambda taus, context: taus[0], "no sentence"),
    "vectors_stay_as_they_are": dense("b", lambda taus, context: taus[0].add_(1)),
    "it_repeats_itself": dense("c", lambda taus, context: torch.randn(taus[0].shape)),
    "global_generators_are_untouched": dense("d", lambda taus, context: torch.rand(4, 3)),
    "shape_and_precision_stay": dense("e", lambda taus, context: taus[0].double()),
    "no_change_makes_no_change": dense("f", lambda taus, context: taus[0] + 1),
    "awkward_tensors_are_finite": dense("g", lambda taus, context: taus[0] / taus[0].norm()),
    "order_of_inputs_is_invisible": dense("h", lambda taus, context: taus[0]),
    "scale_goes_through": dense("i", lambda taus, context: taus[0].sign()),
    "a_sole_input_comes_back": dense("j", lambda taus, context: taus[0], sole=lambda o, each: 1),
}


@pytest.mark.parametrize("law", BROKEN)
def test_the_suite_notices(law: str) -> None:
    with pytest.raises(LawBroken):
        LAWS[law](BROKEN[law])
