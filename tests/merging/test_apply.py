"""Recipes over real files against the same sums written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.errors import CandidateError, SourceError
from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank
from evomerge.merging.weights import MergedWeights
from evomerge.models.architecture import in_layer, parts_of
from evomerge.models.blueprint import donor, outline
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack, sources_of
from tests.families import Family, tiny_tensors, write_model

Q1 = "model.layers.1.self_attn.q_proj.weight"
UP0 = "model.layers.0.mlp.up_proj.weight"


def value(recipe: Recipe, name: str) -> Tensor:
    return weights_of(recipe, Bank(dict.fromkeys(sources_of(recipe))))(name)


def merge(method: str, inputs: dict[str, Any], base: str | None = None, **more: Any) -> Merge:
    rules = more.pop("rules", None) or (
        Rule(inputs={name: {"weight": 0.5} for name in inputs if name != base}),
    )
    return Merge(method=method, base=base, inputs=inputs, rules=tuple(rules), **more)


def stored(seed: int, name: str) -> Tensor:
    return tiny_tensors(seed)[name].float()


def test_linear_is_the_weighted_mean(family: Family) -> None:
    got = value(merge("linear", {"m": family.math, "j": family.json}), Q1)
    assert torch.allclose(got, (stored(1, Q1) + stored(2, Q1)) / 2, atol=1e-7)


def test_a_merge_of_stacks_has_as_many_layers_as_they_do(family: Family) -> None:
    def cut(source: Source, *layers: int) -> Stack:
        hops = tuple(Hop(of="m", layer=layer) for layer in layers)
        return Stack(inputs={"m": source}, embedding="m", head="m", hops=hops)

    recipe = merge("linear", {"m": cut(family.math, 1, 2), "j": cut(family.json, 0, 1)})
    found = dict(MergedWeights(recipe, "float32").tensors())
    assert {parts_of(name).layer for name in found} == {None, 0, 1}
    expected = (stored(1, Q1) + stored(2, in_layer(Q1, 0))) / 2
    assert torch.allclose(found[in_layer(Q1, 0)], expected, atol=1e-7)


def test_task_arithmetic_adds_task_vectors(family: Family) -> None:
    inputs = {"base": family.base, "m": family.math, "j": family.json}
    got = value(merge("task_arithmetic", inputs, "base", options={"lambda": 2.0}), Q1)
    b = stored(0, Q1)
    assert torch.allclose(got, b + (stored(1, Q1) - b) + (stored(2, Q1) - b), atol=1e-6)


def test_an_adapter_is_its_low_rank_change_in_float32(family: Family) -> None:
    change = 2.0 * family.b @ family.a  # alpha / r = 4 / 2
    assert torch.allclose(value(family.lora, Q1), stored(0, Q1) + change)
    assert torch.equal(value(family.lora, UP0), stored(0, UP0))
    inputs = {"base": family.base, "l": family.lora, "m": family.math}
    rules = [Rule(inputs={"l": {"weight": 0.25}, "m": {"weight": 0.0}})]
    got = value(merge("task_arithmetic", inputs, "base", rules=rules), Q1)
    assert torch.allclose(got, stored(0, Q1) + 0.25 * change, atol=1e-6)


def test_elementwise_methods_see_adapters_as_dense_changes(family: Family) -> None:
    inputs = {"base": family.base, "l": family.lora}
    rules = [Rule(inputs={"l": {"weight": 1.0, "density": 0.5}})]
    got = value(merge("ties", inputs, "base", rules=rules), Q1) - stored(0, Q1)
    change = 2.0 * family.b @ family.a
    assert int((got.abs() > 1e-6).sum()) == change.numel() // 2
    assert torch.allclose(got[got.abs() > 1e-6], change[got.abs() > 1e-6], atol=1e-6)


def test_rules_apply_by_place(family: Family) -> None:
    rules = [
        Rule(where=Selector(layers=(1, 2)), inputs={"m": {"weight": 1.0}}),
        Rule(inputs={"m": {"weight": 0.0}}),
    ]
    recipe = merge("task_arithmetic", {"base": family.base, "m": family.math}, "base", rules=rules)
    assert torch.allclose(value(recipe, Q1), stored(1, Q1), atol=1e-7)
    assert torch.equal(value(recipe, UP0), stored(0, UP0))


def test_slerp_runs_from_the_base(family: Family) -> None:
    for t, seed in ((0.0, 0), (1.0, 1)):
        recipe = merge(
            "slerp", {"a": family.base, "b": family.math}, "a", options={"t": t}, rules=[Rule()]
        )
        assert torch.allclose(value(recipe, Q1), stored(seed, Q1), atol=1e-6)


def test_nuslerp_with_a_base_turns_task_vectors(family: Family) -> None:
    inputs = {"base": family.base, "m": family.math, "j": family.json}
    got = value(merge("nuslerp", inputs, "base"), Q1)
    one, two = stored(1, Q1) - stored(0, Q1), stored(2, Q1) - stored(0, Q1)
    cosine = float((one * two).sum() / one.norm() / two.norm())
    angle = torch.arccos(torch.tensor(cosine))
    arc = torch.sin(angle / 2) / torch.sin(angle)
    assert torch.allclose(got, stored(0, Q1) + arc * (one + two), atol=1e-5)


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "dare_linear", "dare_ties"])
def test_experts_equal_to_the_base_give_the_base_bit_for_bit(family: Family, method: str) -> None:
    twin = Source(model=str(write_model(family.folder / "twin", tiny_tensors(0))))
    rules = [
        Rule(
            inputs={
                n: {"weight": 0.7, **({} if method == "task_arithmetic" else {"density": 0.5})}
                for n in ("t", "u")
            }
        )
    ]
    recipe = merge(method, {"base": family.base, "t": twin, "u": family.base}, "base", rules=rules)
    for name, tensor in MergedWeights(recipe).tensors():
        assert torch.equal(tensor, tiny_tensors(0)[name])


def test_nested_recipes_are_merged_on_the_way(family: Family) -> None:
    inner = merge("linear", {"m": family.math, "j": family.json})
    got = value(merge("task_arithmetic", {"base": family.base, "i": inner}, "base"), Q1)
    mean = (stored(1, Q1) + stored(2, Q1)) / 2
    assert torch.allclose(got, stored(0, Q1) + 0.5 * (mean - stored(0, Q1)), atol=1e-6)


def test_a_stack_renames_layers(family: Family) -> None:
    hops = (Hop(of="a", layer=0), Hop(of="b", layer=2), Hop(of="b", layer=2), Hop(of="a", layer=1))
    stack = Stack(inputs={"a": family.base, "b": family.math}, embedding="a", head="b", hops=hops)
    bank = Bank(dict.fromkeys(sources_of(stack)))
    names = [tensor.name for tensor in outline(stack, bank).tensors]
    assert sum(parts_of(name).layer == 3 for name in names) == 7
    assert torch.equal(weights_of(stack, bank)(in_layer(Q1, 2)), stored(1, in_layer(Q1, 2)))
    assert torch.equal(weights_of(stack, bank)(in_layer(Q1, 3)), stored(0, Q1))
    assert torch.equal(weights_of(stack, bank)("model.norm.weight"), stored(1, "model.norm.weight"))
    assert donor(stack) == family.base


def test_the_same_seed_gives_the_same_masks_whatever_else_is_merged(family: Family) -> None:
    rules = [Rule(inputs={"m": {"weight": 1.0, "density": 0.5}})]
    one = merge("dare_linear", {"base": family.base, "m": family.math}, "base", rules=rules)
    alone = value(one, Q1)
    everything = dict(MergedWeights(one, "float32").tensors())
    assert torch.equal(alone, everything[Q1])
    other = one.model_copy(update={"seed": 1})
    assert not torch.equal(alone, value(other, Q1))


def test_output_is_rounded_once_to_the_donors_dtype(family: Family) -> None:
    recipe = merge("linear", {"m": family.math, "j": family.json})
    rounded = dict(MergedWeights(recipe).tensors())
    exact = dict(MergedWeights(recipe, "float32").tensors())
    assert all(tensor.dtype == torch.bfloat16 for tensor in rounded.values())
    assert all(torch.equal(rounded[name], exact[name].bfloat16()) for name in rounded)


def test_faults_name_the_model_and_the_tensor(family: Family) -> None:
    tensors = tiny_tensors(4)
    tensors[Q1][0, 0] = float("nan")
    broken = Source(model=str(write_model(family.folder / "broken", tensors)))
    recipe = merge("linear", {"b": broken, "m": family.math})
    with pytest.raises(SourceError, match=rf"broken: the tensor '{Q1}' is not finite"):
        dict(MergedWeights(recipe).tensors())
    del tensors[Q1]
    lacking = Source(model=str(write_model(family.folder / "lacking", tensors)))
    with pytest.raises(SourceError, match="has no tensor"):
        value(merge("linear", {"l": lacking, "m": family.math}), Q1)


def test_weights_that_leave_the_finite_numbers_fail_the_candidate(family: Family) -> None:
    rules = [Rule(inputs={"m": {"weight": 1e39}})]
    recipe = merge("task_arithmetic", {"base": family.base, "m": family.math}, "base", rules=rules)
    with pytest.raises(CandidateError, match="not finite"):
        dict(MergedWeights(recipe).tensors())
