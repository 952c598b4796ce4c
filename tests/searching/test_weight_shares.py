"""Which parents carry weight in a winner."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.models.headers import Headers
from evomerge.operators import signatures
from evomerge.recipe.tree import Chromosome, Hop, Merge, Recipe, Rule, Segments, Stack
from evomerge.searching.weight_shares import carriers, weight_shares
from tests.families import HIDDEN, LAYERS, VOCABULARY, Family, family

__all__ = ["family"]


def shares(recipe: Recipe) -> dict[str, float]:
    return weight_shares(recipe, signatures(), Headers())


def carrying(recipe: Recipe, *names: str) -> list[str]:
    return carriers(recipe, names, signatures(), Headers())


def merge(family: Family, *rules: dict[str, Any], method: str = "task_arithmetic") -> Merge:
    return Merge(
        method=method,
        base="base",
        inputs={"base": family.base, "json": family.json, "math": family.math},
        rules=tuple(Rule.model_validate(rule) for rule in rules),
    )


def test_a_rule_counts_as_many_parameters_as_it_selects(family: Family) -> None:
    first = {"where": {"component": "embedding"}, "inputs": {"json": {"weight": -2.0}}}
    first["inputs"]["math"] = {"weight": 0.0}  # type: ignore[index]
    rest = {"inputs": {"json": {"weight": 0.0}, "math": {"weight": 0.5}}}
    embedding = VOCABULARY * HIDDEN
    a_layer = 4 * HIDDEN**2 + 2 * (2 * HIDDEN * HIDDEN) + HIDDEN
    assert shares(merge(family, first, rest)) == {
        "json": 2.0 * embedding,
        "math": 0.5 * (LAYERS * a_layer + HIDDEN),
    }


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ((1.0, 1.0), ["json", "math"]),
        ((1.0, -0.5), ["json", "math"]),
        ((1.0, 0.49), ["json"]),
        ((-0.2, 1.0), ["math"]),
        ((0.0, 0.0), ["json", "math"]),  # nothing to go by
    ],
)
def test_what_carries_weight_has_half_as_much_as_the_heaviest(
    family: Family, weights: tuple[float, float], names: list[str]
) -> None:
    json, math = ({"weight": weight} for weight in weights)
    recipe = merge(family, {"inputs": {"json": json, "math": math}})
    assert carrying(recipe, "json", "math") == names


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ((0.77, 0.90, 0.47), ["base", "json"]),
        ((0.47, 0.90, 0.77), ["json", "math"]),
        ((0.9, 0.9, 0.2), ["base", "json"]),
        ((0.5, 0.5, 0.5), ["base", "json", "math"]),  # none is lighter than the others
    ],
)
def test_of_three_that_carry_weight_the_lightest_is_left_out(
    family: Family, weights: tuple[float, ...], names: list[str]
) -> None:
    inputs = {"base": family.base, "json": family.json, "math": family.math}
    own = {name: {"weight": weight} for name, weight in zip(inputs, weights, strict=True)}
    recipe = Merge(method="linear", inputs=inputs, rules=(Rule(inputs=own),))
    assert carrying(recipe, *inputs) == names


def test_a_method_without_weights_says_nothing(family: Family) -> None:
    recipe = merge(family, {}, method="sce")
    assert shares(recipe) == {}
    assert carrying(recipe, "json", "math") == ["json", "math"]
    assert carrying(family.json, "json", "math") == ["json", "math"]


def test_of_a_path_its_hops_count(family: Family) -> None:
    inputs = {"json": family.json, "math": family.math, "base": family.base}
    hops = (Hop(of="json", layer=0), Hop(of="json", layer=1), Hop(of="math", layer=2))
    recipe = Stack(inputs=inputs, embedding="base", head="base", hops=hops)
    assert shares(recipe) == {"json": 2.0, "math": 1.0, "base": 0.0}
    assert carrying(recipe, "base", "json", "math") == ["json", "math"]


def test_of_segments_the_lengths_count_and_noise_is_no_weight(family: Family) -> None:
    inputs: dict[str, Recipe] = {"base": family.base, "json": family.json, "math": family.math}
    noise = Merge(method="singular_noise", base="base", inputs=dict(inputs), rules=(Rule(),))
    part = Chromosome(
        ends=(10, 40),
        coefficients={
            "json": (0.5, -0.5),
            "math": (0.0, 1.0),
            "base": (-1.0, -1.0),
            "~noise": (1.0, 1.0),
        },
    )
    recipe = Segments(base="base", inputs={**inputs, "~noise": noise}, chromosomes=(part,))
    assert shares(recipe) == {"json": 20.0, "math": 30.0, "base": 0.0}


def test_no_weight_is_read(family: Family) -> None:
    recipe = merge(family, {"inputs": {"json": {"weight": 1.0}, "math": {"weight": 1.0}}})
    headers = Headers()
    headers.inventory(family.base)
    for name in ("base", "json", "math"):
        (family.folder / name / "model.safetensors").unlink()
    assert carriers(recipe, ["json", "math"], signatures(), headers) == ["json", "math"]
