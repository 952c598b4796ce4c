"""A recipe as numbers over depth and component."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evomerge.errors import RecipeError
from evomerge.models.flat import flat_of
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Hop, Merge, Rule, Segments, Stack
from evomerge.reports.pictures.weights import weights_picture
from evomerge.reports.weights import INSIDE, OUTSIDE, weight_maps
from tests.families import Family
from tests.pipelines import write_pipeline

SOURCES = {name: Source(model=f"./{name}") for name in ("base", "math", "json")}
RULES = (
    Rule(
        where=Selector(layers=(0, 2), component="attention"),
        inputs={"math": {"weight": 0.9, "density": 0.2}, "json": {"weight": -0.1}},
    ),
    Rule(where=Selector(layers=(2, 4)), inputs={"math": {"weight": 0.4}}),
    Rule(inputs={"math": {"weight": 0.5}, "json": {"weight": 0.6}}),
)
MERGE = Merge(method="ties", base="base", inputs=SOURCES, rules=RULES)


def test_rules_are_read_where_they_hold() -> None:
    (shown,) = weight_maps(MERGE, "t")
    weight, density = shown.parameters
    assert (weight.name, density.name) == ("weight", "density")
    math, json = weight.panels
    assert (math.name, json.name) == ("math", "json"), "the base has no weight"
    by = dict(zip(INSIDE, math.inside.tolist(), strict=True))
    assert by["attention"] == [0.9, 0.9, 0.4, 0.4]
    assert by["mlp"] == by["norm"] == [0.5, 0.5, 0.4, 0.4]
    assert dict(zip(OUTSIDE, math.outside.tolist(), strict=True))["head"] == 0.5
    assert json.inside[0].tolist()[:2] == [-0.1, -0.1]
    assert density.panels[0].inside[0, 0] == 0.2


def test_what_is_the_same_everywhere_is_said_in_words() -> None:
    rule = Rule(inputs={"math": {"weight": 0.7, "density": 0.5}, "json": {"density": 0.5}})
    merge = MERGE.model_copy(update={"rules": (rule,), "options": {"lambda": 0.8}})
    (shown,) = weight_maps(merge, "t")
    assert [parameter.name for parameter in shown.parameters] == ["weight"]
    assert all(panel.is_uniform for panel in shown.parameters[0].panels)
    assert set(shown.remarks) == {"density 0.5", "lambda 0.8"}


def test_an_option_that_varies_has_a_panel_of_its_own() -> None:
    rules = (Rule(where=Selector(layers=(0, 1)), options={"t": 0.1}), Rule(options={"t": 0.9}))
    two = {name: SOURCES[name] for name in ("base", "math")}
    (shown,) = weight_maps(Merge(method="slerp", base="base", inputs=two, rules=rules), "t")
    (panel,) = next(own for own in shown.parameters if own.name == "t").panels
    assert panel.inside[0, 0] == 0.1
    assert panel.outside.tolist() == [0.9] * 3


def test_a_merge_of_merges_has_a_map_of_each() -> None:
    outer = Merge(
        method="linear",
        inputs={"left": MERGE, "right": SOURCES["math"]},
        rules=(Rule(inputs={"left": {"weight": 0.4}, "right": {"weight": 0.6}}),),
    )
    first, second = weight_maps(outer, "t")
    assert (first.name, second.name) == ("", "left")
    assert [panel.name for panel in second.parameters[0].panels] == ["left / math", "left / json"]


def _segments(inputs: dict[str, Source], ends: tuple[int, ...]) -> Segments:
    coefficients = {"math": (1.0, 0.0), "json": (0.0, 1.0)}
    return Segments(
        base="math", inputs=inputs, chromosomes=(Chromosome(ends=ends, coefficients=coefficients),)
    )


def test_segments_are_averaged_over_the_tensors_of_a_layer(tmp_path: Path) -> None:
    family = Family(tmp_path)
    inputs = {"math": family.math, "json": family.json}
    whole = Segments(
        base="math", inputs=inputs, chromosomes=(Chromosome(ends=(1,), coefficients={}),)
    )
    (flat,) = flat_of(whole, "t")
    second = flat.blocks[2]
    (shown,) = weight_maps(_segments(inputs, (second, flat.size)), "t")
    math, json = shown.parameters[0].panels
    assert math.inside[:, 0].tolist() == [1.0] * 3, "embedding and layer 0 are of math"
    assert json.inside[:, 1].tolist() == [1.0] * 3
    assert math.outside[0] == 1.0
    assert np.nansum(math.inside + json.inside) == math.inside.size
    (half,) = weight_maps(_segments(inputs, (flat.blocks[1] // 2, flat.size)), "t")
    assert half.parameters[0].panels[0].outside[0] == pytest.approx(0.5, abs=1e-3)


def test_segments_without_their_models_go_by_place() -> None:
    inputs = {"math": Source(model="org/gone"), "json": Source(model="./gone")}
    (shown,) = weight_maps(_segments(inputs, (25, 100)), "t")
    math, json = shown.parameters[0].panels
    assert math.inside.mean() == pytest.approx(0.25)
    assert (math.inside + json.inside == 1).all()
    assert "not at hand" in shown.remarks[0]


def test_a_source_and_a_stack_have_no_weights() -> None:
    with pytest.raises(
        RecipeError, match=r"r\.yaml: no weights to draw, since a source is one model"
    ):
        weight_maps(SOURCES["math"], "r.yaml")
    stack = Stack(inputs=SOURCES, embedding="math", head="math", hops=(Hop(of="math", layer=0),))
    with pytest.raises(RecipeError, match="a stack has a path: --view path"):
        weight_maps(stack, "r.yaml")


def test_towers_are_drawn_apart_where_none_is_the_main_one(tmp_path: Path) -> None:
    """A pipeline: an embedding, layers and a head of their own in each component."""
    sources = {n: Source(model=str(write_pipeline(tmp_path / n, i))) for i, n in enumerate("ab")}
    half = {"a": {"weight": 0.5}, "b": {"weight": 0.5}}
    first = Selector(tower="unet", layers=(1, 2), component="attention")
    rules = (
        Rule(where=first, inputs={"a": {"weight": 0.2}, "b": {"weight": 0.8}}),
        Rule(where=Selector(), inputs=half),
    )
    merge = Merge(method="linear", base="a", inputs=sources, rules=rules)
    (shown,) = weight_maps(merge, "t")
    panels = {panel.name: panel for panel in shown.parameters[0].panels}
    assert list(panels) == [f"{n}, {t}" for n in "ab" for t in ("text_encoder", "unet", "vae")]
    assert panels["b, unet"].inside[0].tolist()[:5] == [0.5, 0.8, 0.5, 0.5, 0.5]
    assert np.isfinite(panels["a, text_encoder"].inside).sum(axis=1).tolist() == [3, 3, 3]
    assert weights_picture([shown], "svg", title="a pipeline")


def test_segments_of_a_model_without_a_main_tower_go_by_place(tmp_path: Path) -> None:
    folders = [write_pipeline(tmp_path / name, seed) for seed, name in enumerate("ab")]
    inputs = {n: Source(model=str(f)) for n, f in zip(("math", "json"), folders, strict=True)}
    (shown,) = weight_maps(_segments(inputs, (25, 100)), "t")
    assert shown.parameters[0].panels[0].inside.mean() == pytest.approx(0.25)
    assert shown.remarks[0].startswith("no tower is the main one")
