"""A recipe that makes one of its inputs is known as that input, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from evomerge.merging.weights import MergedWeights
from evomerge.operators import signatures
from evomerge.recipe.same import same_as, sole_input
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Hop, Merge, Recipe, Rule, Segments, Stack
from tests.families import LAYERS, Family, family

__all__ = ["family"]

KNOWN = {name: Source(model=f"./{name}") for name in ("base", "math", "json")}


def name_of(recipe: Recipe) -> str | None:
    return same_as(recipe, KNOWN, signatures(), lambda recipe: LAYERS)


def merge(
    method: str, each: dict[str, Any], base: str | None = "base", factor: float = 1.0, **more: Any
) -> Merge:
    inputs = {name: KNOWN[name] for name in (*each, *([base] if base else []))}
    options = more | ({"lambda": factor} if factor != 1.0 else {})
    return Merge(
        method=method, base=base, inputs=inputs, options=options, rules=(Rule(inputs=each),)
    )


def one_and_none(**more: float) -> dict[str, dict[str, float]]:
    return {"math": {"weight": 1.0, **more}, "json": {"weight": 0.0, **more}}


ALONE: list[tuple[Merge, str]] = [
    (merge("linear", one_and_none(), base=None), "math"),
    (merge("linear", {"math": {"weight": 0.3}, "json": {"weight": 0.0}}, base=None), "math"),
    (merge("task_arithmetic", one_and_none()), "math"),
    (merge("task_arithmetic", one_and_none(), factor=0.0), "base"),
    (merge("ties", {"math": {"weight": 0.4}, "json": {"weight": 0.0}}), "math"),
    (merge("ties", one_and_none(), sign="count", normalize=False), "math"),
    (merge("dare_linear", one_and_none()), "math"),
    (merge("dare_ties", one_and_none(), normalize=True), "math"),
    (merge("slerp", {"json": {}}, t=1.0), "json"),
    (merge("slerp", {"json": {}}, t=0.0), "base"),
    (merge("nuslerp", one_and_none()), "math"),
    (merge("nuslerp", one_and_none(), scope="row"), "math"),
    (merge("multislerp", one_and_none()), "math"),
    (merge("multislerp", one_and_none(), normalize=False), "math"),
    (merge("karcher", one_and_none()), "math"),
]
NEW: list[Merge] = [
    merge("linear", {"math": {"weight": 0.3}, "json": {"weight": 0.0}}, base=None, normalize=False),
    merge("linear", {"math": {"weight": 0.9}, "json": {"weight": 0.1}}, base=None),
    merge("task_arithmetic", one_and_none(), factor=0.9),
    merge("ties", one_and_none(density=0.5)),
    merge("ties", one_and_none(), factor=2.0),
    merge("dare_linear", one_and_none(density=0.5)),
    merge("slerp", {"json": {}}, t=0.5),
    merge("nuslerp", one_and_none(), factor=1.5),
    merge("breadcrumbs", one_and_none(density=0.9, gamma=0.05)),
]


@pytest.mark.parametrize(("recipe", "name"), ALONE)
def test_all_weight_on_one_input_is_that_input(recipe: Merge, name: str, family: Family) -> None:
    assert name_of(recipe) == name
    there = {"base": family.base, "math": family.math, "json": family.json}
    built = recipe.model_copy(update={"inputs": {name: there[name] for name in recipe.inputs}})
    found = dict(MergedWeights(built, "float32").tensors())
    for key, tensor in MergedWeights(there[name], "float32").tensors():
        assert torch.allclose(found[key], tensor, atol=1e-6), key


@pytest.mark.parametrize("recipe", NEW)
def test_anything_else_is_new(recipe: Merge) -> None:
    assert name_of(recipe) is None


def test_methods_of_factors_too(family: Family) -> None:
    inputs = {"base": family.base, "lora": family.lora, "other": family.other}
    for weight, name in ((-1.0, "lora"), (0.5, None)):
        rule = Rule(inputs={"lora": {"weight": weight}, "other": {"weight": 0.0}})
        recipe = Merge(method="lorahub", base="base", inputs=inputs, rules=(rule,))
        assert same_as(recipe, inputs, signatures(), lambda recipe: LAYERS) == name


def test_every_rule_has_to_say_so() -> None:
    first = Rule.model_validate({"where": {"layers": [0, 1]}, "inputs": one_and_none()})
    other = Rule(inputs={"math": {"weight": 0.0}, "json": {"weight": 1.0}})
    inputs = {name: KNOWN[name] for name in ("math", "json")}
    for last, name in ((Rule(inputs=one_and_none()), "math"), (other, None)):
        recipe = Merge(method="linear", inputs=inputs, rules=(first, last))
        assert sole_input(recipe, signatures()) == name


def test_what_is_in_it_is_looked_into() -> None:
    inner = merge("task_arithmetic", one_and_none())
    outer = Merge(
        method="linear",
        inputs={"a": inner, "b": KNOWN["json"]},
        rules=(Rule(inputs={"a": {"weight": 1.0}, "b": {"weight": 0.0}}),),
    )
    assert name_of(outer) == "math"
    assert name_of(Source(model="./math", statistics="./measured")) == "math"
    assert name_of(Source(model="./math", adapter="./lora")) is None
    assert same_as(outer, {"inner": inner}, signatures(), lambda recipe: LAYERS) == "inner"


def test_a_path_is_an_input_with_its_own_layers_embedding_and_head_alone() -> None:
    inputs = {name: KNOWN[name] for name in ("math", "json")}
    own = tuple(Hop(of="math", layer=layer) for layer in range(LAYERS))

    def path(hops: tuple[Hop, ...] = own, embedding: str = "math", head: str = "math") -> Stack:
        return Stack(inputs=inputs, embedding=embedding, head=head, hops=hops)

    assert name_of(path()) == "math"
    assert name_of(path(own[:-1])) is None
    assert name_of(path((*own, own[-1]))) is None
    assert name_of(path(head="json")) is None
    assert name_of(path(embedding="json")) is None
    assert name_of(path((Hop(of="math", layer=0, scale=0.9), *own[1:]))) is None


def test_segments_are_a_seed_where_it_alone_counts() -> None:
    def table(**coefficients: tuple[float, ...]) -> Segments:
        part = Chromosome(ends=(5, 20), coefficients=coefficients)
        return Segments(base="base", inputs=KNOWN, chromosomes=(part,))

    assert name_of(table(math=(1.0, 1.0))) == "math"
    assert name_of(table(math=(1.0, 1.0), json=(0.0, 0.0))) == "math"
    assert name_of(table(math=(1.0, 0.0), json=(0.0, 1.0))) is None
    assert name_of(table(math=(1.0, 0.9))) is None
    assert name_of(table(math=(1.0, 1.0), json=(0.1, 0.0))) is None
