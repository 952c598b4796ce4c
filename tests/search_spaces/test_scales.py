"""Scale rules: which number belongs to which hop."""

from __future__ import annotations

import math

import pytest

from evomerge.search_spaces.scales import Network, ScaleGenes, ScaleRange, ScaleRule, scale_genes
from evomerge.search_spaces.slots import Jumps, Pool, Slots, Step

SLOTS = Slots(
    Pool({"a": 2, "b": 2}, "by_input"),
    repetitions=2,
    first=True,
    last=True,
    ends_take_slots=False,
    max_hops=None,
    jumps=Jumps(),
)
PATH = [Step(None, 0), Step(2, 2), Step(6, 2), Step(None, 1)]


def rule(name: ScaleRule, **span: float) -> ScaleGenes:
    return scale_genes(name, SLOTS, ScaleRange(**span), Network(hidden=2))


def start(of: ScaleGenes) -> dict[str, float]:
    return {gene.name: gene.value(0.5) for gene in of.genes}


@pytest.mark.parametrize("name", ["none", "per_hop", "pair", "network"])
def test_every_rule_starts_with_scales_of_one(name: ScaleRule) -> None:
    of = rule(name)
    assert all(gene.start is not None for gene in of.genes)
    assert of.scales(PATH, start(of)) == [1.0] * 4


@pytest.mark.parametrize(("name", "count"), [("none", 0), ("per_hop", 9), ("pair", 16)])
def test_genes_have_names_of_their_own(name: ScaleRule, count: int) -> None:
    names = [gene.name for gene in rule(name).genes]
    assert len(set(names)) == len(names) == count


def test_a_hop_takes_the_scale_of_its_slot_and_the_first_takes_none() -> None:
    of = rule("per_hop")
    values = start(of) | {
        "scale@1:b.0": 0.7,
        "scale@2:b.0": 0.8,
        "scale@last": 0.9,
        "scale@1:a.0": 5.0,
    }
    assert of.scales(PATH, values) == [1.0, 0.7, 0.8, 0.9]
    assert of.used(PATH) == {"scale@1:b.0", "scale@2:b.0", "scale@last"}
    assert of.values(PATH, [1.0, 0.7, 0.8, 0.9]) == {
        "scale@1:b.0": 0.7,
        "scale@2:b.0": 0.8,
        "scale@last": 0.9,
    }
    assert of.values(PATH, [0.5, 0.7, 0.8, 0.9]) is None


def test_a_transition_takes_the_scale_of_its_pair() -> None:
    of = rule("pair")
    values = start(of) | {"scale@a.0>b.0": 0.6, "scale@b.0>b.0": 0.7, "scale@b.0>a.1": 0.8}
    assert of.scales(PATH, values) == [1.0, 0.6, 0.7, 0.8]
    assert of.used(PATH) == {"scale@a.0>b.0", "scale@b.0>b.0", "scale@b.0>a.1"}
    twice = [Step(None, 0), Step(0, 0), Step(4, 0), Step(None, 1)]
    assert of.values(twice, [1.0, 0.9, 0.9, 1.0]) == {"scale@a.0>a.0": 0.9, "scale@a.0>a.1": 1.0}
    assert of.values(twice, [1.0, 0.9, 0.8, 1.0]) is None


def test_the_network_is_a_hidden_layer_of_tanh_over_i_j_and_t() -> None:
    of = rule("network", low=0.0, high=2.0)
    weights = {"i": 0.3, "j": -0.4, "t": 0.5, "bias": 0.1, "out": 0.7}
    values = start(of) | {f"network.1.{key}": value for key, value in weights.items()}
    values["network.bias"] = 0.05
    # hop 2 of a path of at most 10: from pool place 2 to place 2, of places 0 to 3
    i = j = 2 * 2 / 3 - 1
    t = 2 * 2 / 9 - 1
    expected = 1 + 0.05 + 0.7 * math.tanh(0.3 * i - 0.4 * j + 0.5 * t + 0.1)
    assert of.scales(PATH, values)[2] == pytest.approx(expected, rel=1e-12)
    assert of.used(PATH) == {gene.name for gene in of.genes}


def test_the_network_stays_in_the_range() -> None:
    of = rule("network", low=0.9, high=1.1)
    assert of.scales(PATH, start(of) | {"network.bias": 2.0}) == [1.0, 1.1, 1.1, 1.1]
    assert of.scales(PATH, start(of) | {"network.bias": -2.0}) == [1.0, 0.9, 0.9, 0.9]


@pytest.mark.parametrize("name", ["none", "network"])
def test_rules_without_an_inverse_give_back_ones_only(name: ScaleRule) -> None:
    of = rule(name)
    values = of.values(PATH, [1.0] * 4)
    assert values is not None
    assert of.scales(PATH, values) == [1.0] * 4
    assert of.values(PATH, [1.0, 1.0, 0.9, 1.0]) is None
