"""The space of tables over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evomerge.errors import ConfigError, RecipeError
from evomerge.recipe.genome import CoefficientsGene
from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.segments import ChromosomeSegments, PiecewiseCoefficients, cross
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Merge, Rule, Segments
from evomerge.recipe.yaml import read_mapping
from evomerge.search_spaces.base import encode, named
from evomerge.search_spaces.segments import SegmentsSpace, SegmentsSpaceConfig
from evomerge.value import parse
from tests.facts import Facts

CATALOG = Path(__file__).parents[2] / "search_spaces" / "segments"
SOURCES = {name: Source(model=f"./{name}") for name in ("base", "math", "json", "code")}
GRIDS = (Grid((0, 4, 10), (0,)), Grid((0, 3, 6, 9), (0, 6)))
WHERE = [{"component": "attention"}, {}]


def config(**keys: Any) -> SegmentsSpaceConfig:
    return parse(SegmentsSpaceConfig, {"kind": "segments", **keys}, origin="space")


def measured() -> Sequence[Grams]:
    draws = np.random.default_rng(0)
    return [Grams.of(draws.normal(size=(3, grid.size)), grid) for grid in GRIDS]


def space(**keys: Any) -> SegmentsSpace:
    settings = {"base": "base", "chromosomes": WHERE} | keys
    return SegmentsSpace(config(**settings), SOURCES, Facts(cells=GRIDS, measure=measured))


@pytest.mark.parametrize(("entry", "count"), [("one_vector", 1), ("attention_apart", 2)])
def test_the_catalog_s_spaces(entry: str, count: int) -> None:
    data = read_mapping(CATALOG / f"{entry}.yaml")
    found = parse(SegmentsSpaceConfig, data, origin=entry)
    assert len(found.chromosomes) == count
    assert list(found.chosen(SOURCES)) == list(SOURCES)


def member() -> PiecewiseCoefficients:
    """A descendant of all three seeds."""
    over = space()
    a, b, c = (
        PiecewiseCoefficients.from_text(str(over.landmarks()[f"seed:{n}"][0]))
        for n in over.seed_pool.seeds
    )
    child = cross(a, b, splits=[4, 6], ratios=[0.2, 0.9], grams=over.seed_pool.grams)
    return cross(child, c, splits=[0, 3], ratios=[0.4, 0.5], grams=over.seed_pool.grams)


def test_the_gene_is_a_table_over_the_seeds() -> None:
    assert space().genes == (CoefficientsGene(name="table", seeds=("math", "json", "code")),)
    assert space(base=None, seeds=["json", "base"]).genes[0].seeds == ("json", "base")


def test_a_recipe_has_the_tables_coefficients_by_seed() -> None:
    table = PiecewiseCoefficients(
        ("math", "json", "code"),
        (
            ChromosomeSegments.of([4, 10], [[1, 0, 0], [0.5, 0, 0.5]]),
            ChromosomeSegments.of([9], [[0, 1, 0]]),
        ),
    )
    found = space().recipe((table.to_text(),))
    assert found.base == "base"
    assert dict(found.inputs) == SOURCES
    attention, rest = found.chromosomes
    assert attention == Chromosome(
        where={"component": "attention"},  # type: ignore[arg-type]
        ends=(4, 10),
        coefficients={"math": (1.0, 0.5), "code": (0.0, 0.5)},
    )
    assert rest == Chromosome(ends=(9,), coefficients={"json": (1.0,)})


def test_the_first_seed_is_the_base_where_none_is_named() -> None:
    found = space(base=None, seeds=["json", "math", "code"])
    recipe = found.recipe(found.landmarks()["uniform"])
    assert recipe.base == "json"
    assert set(recipe.inputs) == {"json", "math", "code"}


def test_a_recipe_gives_its_genome_back() -> None:
    over = space()
    for genome in (*over.landmarks().values(), (member().to_text(),)):
        assert over.genome(over.recipe(genome)) == genome


def test_noise_is_a_change_of_the_base_that_is_taken_off_again() -> None:
    plain = member()
    noisy = plain.stepped(7, {"math": 0.05, "json": 0.1})
    over = space()
    found = over.recipe((noisy.to_text(),))
    change = found.inputs["~noise"]
    assert isinstance(change, Merge)
    assert (change.method, change.base) == ("singular_noise", "base")
    assert dict(change.rules[0].inputs) == {"json~7": {"weight": 0.1}, "math~7": {"weight": 0.05}}
    assert change.inputs["math~7"] == SOURCES["math"]
    for one in found.chromosomes:
        assert set(one.coefficients["~noise"]) == {1.0}
        assert set(one.coefficients["base"]) == {-1.0}
    assert over.genome(found) == (noisy.to_text(),)
    assert found.shares() == pytest.approx(over.recipe((plain.to_text(),)).shares())


def test_noise_where_the_base_is_a_seed() -> None:
    over = space(seeds=["base", "math"])
    table = PiecewiseCoefficients.constant(
        ("base", "math"), over.seed_pool.sizes, {"base": 0.3, "math": 0.7}
    )
    text = table.stepped(1, {"math": 0.1}).to_text()
    found = over.recipe((text,))
    assert found.chromosomes[0].coefficients["base"] == pytest.approx((-0.7,))
    assert over.genome(found) == (text,)


def test_noise_of_another_kind_is_not_this_space_s() -> None:
    over = space()
    found = over.recipe((member().stepped(7, {"math": 0.05}).to_text(),))
    change = found.inputs["~noise"]
    assert isinstance(change, Merge)
    for other in (
        change.model_copy(update={"seed": 1}),
        change.model_copy(update={"rules": (Rule(inputs={"x~1": {"weight": 1.0}}),)}),
        SOURCES["math"],
    ):
        inputs = {**found.inputs, "~noise": other}
        with pytest.raises(RecipeError, match="noise"):
            over.genome(found.model_copy(update={"inputs": inputs}))


def test_named_and_encode_leave_a_table_as_it_is() -> None:
    over = space()
    genome = (member().to_text(),)
    assert encode(over, named(over, genome)) == genome


def test_landmarks_are_the_seeds_and_their_mean() -> None:
    over = space()
    assert list(over.landmarks()) == ["seed:math", "seed:json", "seed:code", "uniform"]
    uniform = over.recipe(over.landmarks()["uniform"])
    assert all(
        one.coefficients == dict.fromkeys(over.seed_pool.seeds, (1 / 3,))
        for one in uniform.chromosomes
    )
    assert over.samples() == [uniform]
    assert over.active(over.landmarks()["uniform"]) == (True,)


def test_what_is_measured_is_measured_when_it_is_asked_for_and_once() -> None:
    calls = []

    def measure() -> Sequence[Grams]:
        calls.append(1)
        return measured()

    over = SegmentsSpace(
        config(base="base", chromosomes=WHERE), SOURCES, Facts(cells=GRIDS, measure=measure)
    )
    over.recipe(over.landmarks()["uniform"])
    assert not calls
    assert over.seed_pool.grams is over.seed_pool.grams
    assert calls == [1]


@pytest.mark.parametrize(
    ("keys", "law"),
    [
        ({"seeds": ["math"]}, r"space.seeds: .* at least two seeds, got 1 \(math\)"),
        ({"seeds": ["math", "jsn"]}, r"space.seeds: 'jsn' is not .*; did you mean 'json'\?"),
        ({"seeds": ["math", "math"]}, r"space.seeds: a seed is named twice"),
        ({"base": ""}, "space.base: '' is not "),
        ({"base": "bass"}, r"space.base: 'bass' is not .*; did you mean 'base'\?"),
        ({"chromosomes": [{"component": "mlp"}]}, r"space: chromosomes: the last one must select"),
        ({"chromosomes": []}, r"space: chromosomes: the last one must select"),
        ({"resolution": 0}, r"space: resolution: .* got 0"),
    ],
)
def test_laws_of_the_configuration(keys: dict[str, Any], law: str) -> None:
    with pytest.raises(ConfigError, match=law):
        space(**keys)


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_other_text_is_no_genome(text: str) -> None:
    with pytest.raises(RecipeError, match="not a table"):
        space().recipe((text,))


def test_tables_of_other_seeds_or_sizes_are_no_genomes() -> None:
    for seeds, sizes in ((("math", "json"), [10, 9]), (("math", "json", "code"), [9, 9])):
        table = PiecewiseCoefficients.seed(seeds, sizes, "math")
        with pytest.raises(RecipeError, match=r"is none over math, json, code"):
            space().recipe((table.to_text(),))


def altered(**changes: Any) -> Segments:
    over = space()
    recipe = over.recipe(over.landmarks()["uniform"])
    return recipe.model_copy(update=changes)


def uniform(*ends: int) -> Chromosome:
    many = (0.5,) * len(ends)
    values = {"math": tuple(i / 8 for i in range(len(ends))), "json": many}
    return Chromosome(ends=ends, coefficients=values)


@pytest.mark.parametrize(
    ("recipe", "law"),
    [
        (SOURCES["math"], "it is a source, and this space holds segments"),
        (altered(base="math"), "its 'base' is not this space's"),
        (altered(inputs={"math": SOURCES["math"]}), "its 'inputs' is not this space's"),
        (altered(chromosomes=(uniform(9),)), "its chromosomes are not"),
    ],
)
def test_recipes_that_it_does_not_hold(recipe: Any, law: str) -> None:
    with pytest.raises(RecipeError, match=law):
        space().genome(recipe)


@pytest.mark.parametrize(
    ("chromosome", "law"),
    [
        (uniform(5, 9), r"chromosome 1: cells do not meet at 5; the nearest below is 3"),
        (uniform(3, 6), r"chromosome 1 ends at 6, and there are 9 elements"),
        (Chromosome(ends=(9,), coefficients={"base": (1.0,)}), "coefficients of 'base', no seed"),
    ],
)
def test_recipes_between_the_cells(chromosome: Chromosome, law: str) -> None:
    first, _ = altered().chromosomes
    with pytest.raises(RecipeError, match=law):
        space().genome(altered(chromosomes=(first, chromosome)))
