"""Each gene's importance, by what was measured of layers and components."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.models.importance import Importance, PartImportance
from evomerge.recipe.source import Source
from evomerge.search_spaces.base import SearchSpace
from evomerge.search_spaces.dataflow import DataFlowSpace
from evomerge.search_spaces.dataflow_config import DataFlowSpaceConfig
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.value import parse
from tests.facts import Facts

SOURCES = {name: Source(model=name) for name in ("base", "json", "math")}


def part(layer: int | None, component: Any, importance: float) -> PartImportance:
    return PartImportance(
        tower="decoder", layer=layer, component=component, importance=importance, matrices=1
    )


MEASURED = Importance(
    folder="f",
    parts=(
        part(None, "embedding", 0.5),
        *(part(layer, "attention", 0.1 * (layer + 1)) for layer in range(4)),
        *(part(layer, "mlp", 0.9) for layer in range(4)),
    ),
)


def parameter(**keys: Any) -> ParameterSpace:
    data = {"kind": "parameter", "base": "base", "method": "ties", "genes": {"weight": [0, 1]}}
    return ParameterSpace(parse(ParameterSpaceConfig, data | keys, origin="s"), SOURCES, Facts(4))


def shares(space: SearchSpace) -> dict[str, float]:
    importance = space.importance(MEASURED)
    assert importance is not None
    return dict(zip([gene.name for gene in space.genes], importance, strict=True))


@pytest.mark.parametrize("live", [True, False])
def test_genes_of_parameter_space_have_their_groups(live: bool) -> None:
    groups = {"layers": 2, "components": ["attention"], "live_only": live}
    assert shares(parameter(groups=groups)) == pytest.approx(
        {
            "json.weight@layers0-1.attention": 0.15,
            "math.weight@layers0-1.attention": 0.15,
            "json.weight@layers0-1.other": (0.5 + 0.9 + 0.9) / 3,
            "math.weight@layers0-1.other": (0.5 + 0.9 + 0.9) / 3,
            "json.weight@layers2-3.attention": 0.35,
            "math.weight@layers2-3.attention": 0.35,
            "json.weight@layers2-3.other": 0.9,
            "math.weight@layers2-3.other": 0.9,
        }
    )


def test_a_module_has_that_of_its_component() -> None:
    found = shares(parameter(groups={"layers": 2, "modules": ["q_proj"]}))
    assert found["math.weight@layers0-1.q_proj"] == pytest.approx(0.15)
    assert found["math.weight@layers2-3.q_proj"] == pytest.approx(0.35)
    assert found["math.weight@layers2-3.other"] == pytest.approx((0.3 + 0.4 + 0.9 + 0.9) / 4)


def test_the_choice_of_the_method_matters() -> None:
    found = shares(parameter(method=["ties", "linear"]))
    assert found["method"] == 1.0
    assert found["math.weight"] == pytest.approx((0.5 + 1.0 + 3.6) / 9)


@pytest.mark.parametrize("scales", ["per_hop", "pair", "network"])
def test_genes_of_paths_have_their_layers(scales: str) -> None:
    data = {"kind": "dataflow", "inputs": ["json", "math"], "repetitions": 2, "scales": scales}
    space = DataFlowSpace(parse(DataFlowSpaceConfig, data, origin="s"), SOURCES, Facts(4))
    found = shares(space)
    assert found["run@1:math.3"] == pytest.approx((0.4 + 0.9) / 2)
    assert found["run@2:json.1"] == pytest.approx((0.2 + 0.9) / 2)
    scale = {"per_hop": "scale@2:math.0", "pair": "scale@json.3>math.0"}.get(scales, "network.bias")
    assert found.get("scale@last", 0.65) == pytest.approx((0.4 + 0.9) / 2)
    assert found[scale] == (1.0 if scales == "network" else pytest.approx(0.5))


def test_nothing_is_said_of_what_was_not_measured() -> None:
    vision = PartImportance(tower="vision", main=False, layer=0, component="mlp", importance=0.4)
    other = Importance(folder="f", parts=(vision,))
    groups = {"layers": 2, "components": ["embedding"]}
    assert parameter(groups=groups).importance(other) is not None, "the rest matches anything"
    space = parse(DataFlowSpaceConfig, {"kind": "dataflow"}, origin="s")
    assert DataFlowSpace(space, SOURCES, Facts(4)).importance(other) is None
