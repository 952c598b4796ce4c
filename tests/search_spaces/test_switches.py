"""Genes that leave a parent out of a group."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.errors import ConfigError
from evomerge.models.anatomy import anatomy_of
from evomerge.models.importance import Importance, PartImportance
from evomerge.recipe.genome import ChoiceGene, Genome
from evomerge.recipe.source import Source
from evomerge.search_spaces.base import encode, named
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.search_spaces.parameter_genes import SWITCH
from evomerge.value import parse
from tests.facts import Facts, llama_names

SOURCES = {name: Source(model=name) for name in ("base", "json", "math")}


def space(**config: Any) -> ParameterSpace:
    data = {"kind": "parameter", "base": "base", "method": "ties", "genes": ["weight", "density"]}
    parsed = parse(ParameterSpaceConfig, data | config, origin="job: space")
    return ParameterSpace(parsed, SOURCES, Facts(30))


def with_values(over: ParameterSpace, values: dict[str, float | str]) -> Genome:
    middle: Genome = tuple("on" if isinstance(g, ChoiceGene) else 0.5 for g in over.genes)
    return encode(over, {**named(over, middle), **values})


def test_a_switch_for_each_parent_and_group() -> None:
    over = space(switches=True, groups={"layers": 15})
    switches = [gene for gene in over.genes if isinstance(gene, ChoiceGene)]
    assert [gene.name for gene in switches] == [
        f"{parent}.on@{group}"
        for group in ("layers0-14", "layers15-29")
        for parent in ("json", "math")
    ]
    assert {gene.choices for gene in switches} == {SWITCH}
    plain = space(groups={"layers": 15})
    assert not [gene for gene in plain.genes if isinstance(gene, ChoiceGene)]


def test_a_switch_for_each_module() -> None:
    over = space(switches=True, groups={"layers": 15, "modules": ["q_proj"]})
    off = with_values(over, {"math.on@layers15-29.q_proj": "off"})
    recipe, at = over.recipe(off), anatomy_of(llama_names(30))
    for name, is_off in (
        ("model.layers.20.self_attn.q_proj.weight", True),
        ("model.layers.2.self_attn.q_proj.weight", False),
        ("model.layers.20.mlp.up_proj.weight", False),
    ):
        weight = recipe.rule_for(at.place(name)).inputs["math"]["weight"]
        assert (weight == 0) == is_off, name


def test_off_is_a_weight_of_zero_whatever_the_parent_s_other_genes_are() -> None:
    over = space(switches=True, groups={"layers": 15})
    off = with_values(over, {"math.on@layers0-14": "off"})
    first, last = over.recipe(off).rules[-4:-2][0], over.recipe(off).rules[-1]
    assert first.inputs["math"]["weight"] == 0
    assert first.inputs["json"]["weight"] != 0
    assert last.inputs["math"]["weight"] != 0
    idle = {g.name for g, a in zip(over.genes, over.active(off), strict=True) if not a}
    assert idle == {"math.weight@layers0-14", "math.density@layers0-14"}
    other = with_values(
        over,
        {
            "math.on@layers0-14": "off",
            "math.weight@layers0-14": 0.1,
            "math.density@layers0-14": 1,
        },
    )
    assert over.recipe(other) == over.recipe(off)


@pytest.mark.parametrize("low", [0.0, 0.4])
def test_a_recipe_finds_back_to_a_genome_of_it(low: float) -> None:
    over = space(switches=True, genes={"weight": [low, 1.5], "density": [0.1, 1.0]})
    for genome in (
        with_values(over, {"math.on": "off"}),
        with_values(over, {"json.on": "off", "math.weight": 1.2}),
        with_values(over, {"json.weight": 0.5}),
    ):
        inputs = over.recipe(genome).rules[0].inputs
        again = over.recipe(over.genome(over.recipe(genome))).rules[0].inputs
        for parent in ("json", "math"):
            assert again[parent] == pytest.approx(inputs[parent])


def test_landmarks_switch_the_other_parents_off() -> None:
    over = space(switches=True, genes={"weight": [0.4, 1.5]})
    marks = over.landmarks()
    assert list(marks) == ["uniform", "parent:json", "parent:math"]
    assert named(over, marks["parent:math"])["json.on"] == "off"
    assert named(over, marks["uniform"])["json.on"] == "on"


@pytest.mark.parametrize("groups", [{}, {"layers": 15}])
def test_a_source_may_be_called_anything(groups: dict[str, Any]) -> None:
    names = {"base": "base", "plain": "plain", "odd": "math@v2.1"}
    sources = {name: Source(model=key) for key, name in names.items()}
    data = {"kind": "parameter", "base": "base", "method": "ties", "switches": True}
    config = parse(ParameterSpaceConfig, data | {"groups": groups}, origin="job: space")
    over = ParameterSpace(config, sources, Facts(30))
    alone = over.landmarks()["parent:math@v2.1"]
    values = named(over, alone)
    of_odd = {key: value for key, value in values.items() if key.startswith("math@v2.1.weight")}
    assert set(of_odd.values()) == {1.0}
    idle = {
        g.name.split(".")[0] for g, a in zip(over.genes, over.active(alone), strict=True) if not a
    }
    assert idle == {"plain"}
    part = PartImportance(tower="decoder", layer=0, component="mlp", importance=0.4, matrices=1)
    assert set(over.importance(Importance(folder="f", parts=(part,))) or ()) == {0.4}


def test_samples_do_not_grow_with_the_switches() -> None:
    over = space(switches=True, method=["ties", "dare_ties"], groups={"layers": 1})
    samples = list(over.samples())
    assert len(samples) == 4
    assert {recipe.method for recipe in samples if hasattr(recipe, "method")} == {
        "ties",
        "dare_ties",
    }


def test_switches_need_weights() -> None:
    with pytest.raises(ConfigError, match=r"space\.switches: .* add weight to space\.genes"):
        space(switches=True, genes={"density": [0.1, 1]})
