"""Every built-in search space keeps the contract, and the suite notices those that do not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from evomerge.conformance.spaces import LAWS, LawBroken, SpaceSubject
from evomerge.operators import signatures
from evomerge.recipe.check import check_methods
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.search_spaces.base import SearchSpace
from evomerge.search_spaces.registry import SPACES
from tests.facts import Facts
from tests.search_spaces.test_segments import GRIDS, WHERE, measured

SOURCES = {name: Source(model=f"./{name}") for name in ("base", "math", "json", "code")}
RANGES = {"weight": [0, 1], "density": [0.1, 1]}
CASES: dict[str, dict[str, Any]] = {
    "one method": {"kind": "parameter", "base": "base", "method": "ties", "genes": RANGES},
    "methods": {
        "kind": "parameter",
        "base": "base",
        "method": ["task_arithmetic", "ties"],
        "genes": RANGES,
        "groups": {"layers": 2, "components": ["attention", "other"]},
    },
    "paths": {"kind": "dataflow"},
    "paths with scales": {"kind": "dataflow", "scales": "per_hop"},
    "segments": {"kind": "segments", "base": "base", "chromosomes": WHERE},
}


def subject(config: dict[str, Any]) -> SpaceSubject:
    space: SearchSpace = SPACES.make(
        SPACES.config(config), SOURCES, Facts(4, cells=GRIDS, measure=measured)
    )

    def lawful(recipe: Recipe) -> None:
        check_methods(recipe, signatures(), origin="recipe")

    return SpaceSubject(space=space, lawful=lawful)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", CASES)
def test_built_in(name: str, law: str) -> None:
    LAWS[law](subject(CASES[name]))


def test_no_space_is_left_out() -> None:
    assert {config["kind"] for config in CASES.values()} == set(SPACES.built_in)


class Line(SearchSpace):
    """Keeps the contract; those below break a law of it each."""

    names = ("a", "b")

    @property
    def genes(self) -> tuple[Gene, ...]:
        first, second = self.names
        return (
            ChoiceGene(name=first, choices=("math", "json")),
            FloatGene(name=second, low=0, high=1),
        )

    def recipe(self, genome: Genome) -> Recipe:
        return SOURCES[str(genome[0])]

    def genome(self, recipe: Recipe) -> Genome:
        return ("math" if recipe == SOURCES["math"] else "json", 0.0)

    def active(self, genome: Genome) -> tuple[bool, ...]:
        return (True, False)


class TwoOfOneName(Line):
    names = ("a", "a")


class Partial(Line):
    def recipe(self, genome: Genome) -> Recipe:
        if float(genome[1]) > 0.99:
            raise LawBroken("no recipe here")
        return super().recipe(genome)


class Counts(Line):
    def __init__(self) -> None:
        self._count = itertools.count()

    def recipe(self, genome: Genome) -> Recipe:
        return Source(model=f"{next(self._count)}")


class Forgets(Line):
    def genome(self, recipe: Recipe) -> Genome:
        return ("math", 0.0)


class Hides(Line):
    def active(self, genome: Genome) -> tuple[bool, ...]:
        return (False, False)


class LandsOutside(Line):
    def landmarks(self) -> Mapping[str, Genome]:
        return {"far": ("math", 1.5)}


class Empty(Line):
    def samples(self) -> list[Recipe]:
        return []


@pytest.mark.parametrize("law", LAWS)
def test_a_space_of_two_methods_is_enough(law: str) -> None:
    LAWS[law](SpaceSubject(space=Line()))


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (TwoOfOneName, "genes_have_names"),
        (Partial, "every_genome_is_a_recipe"),
        (Counts, "the_map_is_pure"),
        (Forgets, "a_recipe_has_a_genome"),
        (Hides, "idle_genes_change_nothing"),
        (LandsOutside, "landmarks_are_points"),
        (Empty, "samples_and_baselines_are_lawful"),
    ],
)
def test_the_suite_notices(broken: type[Line], law: str) -> None:
    with pytest.raises(LawBroken):
        LAWS[law](SpaceSubject(space=broken()))
