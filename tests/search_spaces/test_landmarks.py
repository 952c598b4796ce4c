"""A landmark called after a parent makes that parent: in every space, by every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from evomerge.merging.weights import MergedWeights
from evomerge.models.headers import Headers
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.search_spaces.base import SearchSpace
from evomerge.search_spaces.registry import SPACES
from evomerge.searching.model_facts import FactsFromHeaders
from tests.families import Family, family

__all__ = ["family"]

PARENT = ("parent", "input", "seed")
"""What a landmark says before the name of the parent that it is."""


def by_weights() -> list[str]:
    """The methods that a parameter space has a landmark for each parent of."""
    return [
        name
        for name, signature in signatures().items()
        if "weight" in signature.each.model_fields and signature.statistics is None
    ]


def parameter_space(method: str, ranges: Mapping[str, Any]) -> dict[str, Any]:
    genes = {"weight": [0, 1.5], **ranges}
    return {"kind": "parameter", "base": "base", "method": method, "genes": genes}


def spaces() -> Iterator[tuple[str, dict[str, Any]]]:
    """By a name each: every method with wide ranges and with those it recommends, and the rest."""
    for method in by_weights():
        recommended = {
            name: {"low": span[0], "high": span[1]}
            for name, span in signatures()[method].search_ranges.items()
        }
        yield method, parameter_space(method, {})
        yield f"{method}, ranges recommended", parameter_space(method, recommended)
    paths = {"kind": "dataflow", "inputs": ["json", "math"]}
    yield "paths", paths
    yield "paths by depth", paths | {"order": "by_depth", "block": 2, "scales": "per_hop"}
    yield "paths without ends", paths | {"first": False, "last": False, "scales": "pair"}
    yield "segments", {"kind": "segments", "base": "base", "resolution": 20}
    parts = [{"component": "attention"}, {}]
    yield "chromosomes", {"kind": "segments", "resolution": 20, "chromosomes": parts}


def made(config: dict[str, Any], family: Family) -> tuple[SearchSpace, dict[str, Source]]:
    method = config.get("method")
    if method and signatures()[method].family == "adapter":
        sources = {"base": family.base, "json": family.lora, "math": family.other}
    else:
        sources = {"base": family.base, "json": family.json, "math": family.math}
    space: SearchSpace = SPACES.make(SPACES.config(config), sources, FactsFromHeaders(Headers()))
    return space, sources


@pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in spaces()])
def test_it_makes_the_parents_tensors(config: dict[str, Any], family: Family) -> None:
    space, sources = made(config, family)
    called = [label.split(":") for label in space.landmarks()]
    known = {name for kind, *names in called if kind in PARENT for name in names}
    for kind, *names in called:
        if kind not in PARENT:
            continue
        recipe = space.recipe(space.landmarks()[f"{kind}:{names[0]}"])
        found = dict(MergedWeights(recipe, "float32").tensors())
        for key, tensor in MergedWeights(sources[names[0]], "float32").tensors():
            assert torch.allclose(found[key], tensor, atol=1e-6), (names, key)
    if config["kind"] == "dataflow":
        assert known == {"json"}, "the first input alone: its embedding and head are everyone's"
    if config["kind"] == "segments":
        assert known >= {"json", "math"}


@pytest.mark.parametrize(
    ("method", "genes", "label"),
    [
        ("ties", {"weight": [0, 1.5], "density": [0.1, 1]}, "parent"),
        ("ties", {"weight": [0.1, 2]}, "near"),  # the other parent keeps a weight of 0.1
        ("task_arithmetic", {"weight": [0, 0.8]}, "near"),
        ("task_arithmetic", {"weight": [0, 1], "lambda": [0.1, 0.9]}, "near"),
        ("dare_linear", {"weight": [0, 1], "density": [0.1, 0.9]}, "near"),
        ("della", {"weight": [0, 1]}, "near"),  # drops changes at any density
        ("linear", {"weight": [0, 0.8]}, "parent"),  # weights are divided by their sum
    ],
)
def test_what_is_only_near_a_parent_is_not_called_after_it(
    method: str, genes: dict[str, Any], label: str, family: Family
) -> None:
    space, _ = made({"kind": "parameter", "base": "base", "method": method, "genes": genes}, family)
    assert list(space.landmarks()) == ["uniform", f"{label}:json", f"{label}:math"]


def test_an_option_that_is_fixed_counts(family: Family) -> None:
    config = parameter_space("task_arithmetic", {}) | {"options": {"lambda": 0.5}}
    assert list(made(config, family)[0].landmarks()) == ["uniform", "near:json", "near:math"]
