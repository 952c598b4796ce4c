"""Low-rank changes put together: the same weights as the merge, from factors alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import CandidateError
from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank
from evomerge.merging.compose import change_of, stacked, truncated
from evomerge.models.blueprint import outline
from evomerge.operators import signatures
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.selector import Selector
from evomerge.recipe.tree import Merge, Recipe, Rule, sources_of
from tests.families import Family
from tests.operators.applied import close

Q1 = "model.layers.1.self_attn.q_proj.weight"
UP0 = "model.layers.0.mlp.up_proj.weight"
OPTIONS: dict[str, dict[str, float]] = {"lines": {"alpha": 0.3, "beta": 0.7}}
GIVES_ADAPTERS = [
    name
    for name, one in signatures().items()
    if one.family in ("span", "adapter") and one.base in ("origin", "optional_origin")
]


def low_rank(seed: int, rank: int, height: int = 7, width: int = 5) -> LowRank:
    draws = torch.Generator().manual_seed(seed)
    a = torch.randn(rank, width, generator=draws)
    return LowRank(a, torch.randn(height, rank, generator=draws), 1.5)


def recipe(family: Family, method: str, **options: float | str) -> Merge:
    signature = signatures()[method]
    experts = {"l": family.lora, "o": family.other}
    inputs = dict(list(experts.items())[: signature.max_inputs or 2])
    values = {"weight": -0.4, "metric": 2.0}
    own = {key: value for key, value in values.items() if key in signature.each.model_fields}
    if method == "karcher":
        own = {"weight": 0.4}
    other = {key: 2 * value + 1.5 for key, value in own.items()}
    return Merge(
        method=method,
        base="base",
        inputs={"base": family.base, **inputs},
        options=OPTIONS.get(method, {}) | options,
        rules=(Rule(inputs={one: own if one == "l" else other for one in inputs} if own else {}),),
    )


def check_same(one: Recipe, family: Family) -> dict[str, LowRank]:
    """Base + change is what the merge gives, tensor by tensor; the changes."""
    bank = Bank(dict.fromkeys(sources_of(one)))
    weights, change = weights_of(one, bank), change_of(one, family.base, bank)
    found = {}
    for name in [tensor.name for tensor in outline(one, bank).tensors]:
        weight = bank.tensor(family.base, name)
        if (made := change(name)) is not None:
            made.add_to(weight, 1.0)
            found[name] = made
        assert torch.allclose(weight, weights(name), atol=2e-6), name
    return found


@pytest.mark.parametrize("method", GIVES_ADAPTERS)
def test_the_composed_change_is_the_merges(family: Family, method: str) -> None:
    found = check_same(recipe(family, method), family)
    assert Q1 in found
    assert all(float(one.dense().abs().max()) > 1e-3 for one in found.values())


@pytest.mark.parametrize("method", ["model_stock", "nuslerp"])
def test_row_by_row(family: Family, method: str) -> None:
    check_same(recipe(family, method, scope="row"), family)


@pytest.mark.parametrize("method", GIVES_ADAPTERS)
def test_a_method_follows_another(family: Family, method: str) -> None:
    inner = recipe(family, method)
    outer = Merge(
        method="lines",
        base="base",
        inputs={"base": family.base, "in": inner},
        options={"alpha": 0.5, "beta": 0.5},
    )
    check_same(outer, family)
    beside = Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": family.base, "in": inner, "o": family.other},
        rules=(Rule(inputs={"in": {"weight": 0.5}, "o": {"weight": -1.0}}),),
    )
    check_same(beside, family)


def test_ranks_are_those_that_count(family: Family) -> None:
    rules = (
        Rule(where=Selector(component="mlp"), inputs={"l": {"weight": 1.0}, "o": {"weight": 0.0}}),
        Rule(inputs={"l": {"weight": 1.0}, "o": {"weight": 0.5}}),
    )
    one = recipe(family, "task_arithmetic").model_copy(update={"rules": rules})
    found = check_same(one, family)
    assert {name: change.rank for name, change in found.items()} == {Q1: 4}


def test_psec_by_the_cards_numbers() -> None:
    one = LowRank(torch.tensor([[1.0, 2]]), torch.tensor([[1.0], [0]]), 1.0)
    two = LowRank(torch.tensor([[0.0, 1]]), torch.tensor([[1.0], [1]]), 1.0)
    found = stacked([one, two], [0.5, -1.0])
    assert found is not None
    assert close(found.dense(), [[0.5, 0], [0, -1]])
    assert close(found.a, [[0.5**0.5, 2 * 0.5**0.5], [0, 1]])
    assert close(found.b, [[0.5**0.5, -1], [0, -1]])


def test_stacking_by_rows() -> None:
    changes = [low_rank(0, 2), None, low_rank(1, 3)]
    rows = np.array([np.linspace(-1, 1, 7), np.ones(7), np.linspace(2, 0, 7)])
    found = stacked(changes, rows)
    assert found is not None
    expected = sum(
        torch.from_numpy(c).float()[:, None] * one.dense()
        for c, one in zip(rows, changes, strict=True)
        if one is not None
    )
    assert close(found.dense(), expected)


def test_nothing_stacked_is_nothing() -> None:
    assert stacked([None, low_rank(0, 2)], [1.0, 0.0]) is None


def test_coefficients_that_are_not_finite() -> None:
    with pytest.raises(CandidateError, match="not finite"):
        stacked([low_rank(0, 2)], [1e39])


@given(seed=st.integers(0, 99), ranks=st.integers(1, 9), kept=st.integers(1, 9))
def test_truncation_is_the_best_of_its_rank(seed: int, ranks: int, kept: int) -> None:
    change = low_rank(seed, ranks)
    u, s, vt = torch.linalg.svd(change.dense(), full_matrices=False)
    best = (u[:, :kept] * s[:kept]) @ vt[:kept]
    found = truncated(change, kept)
    assert found.rank <= kept
    assert torch.allclose(found.dense(), best, atol=1e-4)


def test_truncation_leaves_out_what_is_not_there() -> None:
    twice = stacked([low_rank(0, 2)] * 3, [1.0, 0.5, 0.25])
    assert twice is not None
    assert (twice.rank, truncated(twice, 5).rank) == (6, 2)
    assert close(truncated(twice, 5).dense(), twice.dense())
    opposite = stacked([low_rank(0, 2)] * 2, [1.0, -1.0])
    assert opposite is not None
    assert float(truncated(opposite, 1).dense().abs().max()) < 1e-5


def test_truncation_to_more_than_there_is_changes_nothing() -> None:
    change = low_rank(0, 2)
    assert truncated(change, 2) is change
