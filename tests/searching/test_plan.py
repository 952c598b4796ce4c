"""From a job to what it names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from evomerge.engines.weights import checkpoint_shapes
from evomerge.merging.weights import MergedWeights
from evomerge.models.flat import flattened
from evomerge.models.inventory import read_inventory
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.segments import PiecewiseCoefficients, cross
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Stack
from evomerge.search_spaces.segments import SegmentsSpace
from evomerge.searching.forecast import cost
from evomerge.searching.job_check import check_job
from evomerge.searching.recipe_plan import RecipePlan
from tests.families import tiny_tensors
from tests.place import Place
from tests.searching.plans import known_recipe, planned, refusal, sound


def test_the_winner_is_compared_with_every_parent_and_the_plain_merges(place: Place) -> None:
    plan = planned(place)
    found = plan.baselines
    assert list(found) == ["base", "json", "math", "uniform merge", "task arithmetic"]
    # Three finalists and the recommendation, six strengths; the winner, and the tuned one.
    assert cost(plan)["validation_evaluations_at_most"] == 4 + 6
    assert cost(plan)["holdout_evaluations_at_most"] == 1 + len(found) + 1
    assert isinstance(found["json"], Source)
    place.job["space"]["parents"] = ["math"]
    found = planned(place).baselines
    assert list(found) == ["base", "math", "task arithmetic"]


def test_data_flow_starts_from_its_first_input(flow: Place) -> None:
    plan = sound(flow)
    layers = read_inventory(flow.folder / "models" / "json").layers
    assert plan.donor == plan.job.sources["json"]
    assert plan.capacity == Capacity(layers=2 * layers, hops=4 * layers + 2)
    assert len(plan.space.genes) == 4 * layers
    assert cost(plan)["genes"] == 4 * layers
    assert list(plan.landmarks) == [
        "input:json",
        "layers:math",
        "halves:json+math",
        "halves:math+json",
    ]
    assert list(plan.baselines) == [
        "json",
        "math",
        "uniform merge",
        "halves, json below math",
        "halves, math below json",
    ]
    for label, baseline in plan.baselines.items():
        RecipePlan(baseline, label).check()


def test_data_flow_has_a_base_where_it_is_named_or_all_inputs_are_adapters_on_it(
    flow: Place,
) -> None:
    flow.job["space"]["base"] = "base"
    named = sound(flow)
    assert list(named.baselines)[:5] == ["base", "json", "math", "uniform merge", "task arithmetic"]
    for label, baseline in named.baselines.items():
        RecipePlan(baseline, label).check()
    flow.job["space"]["base"] = "bse"
    assert "space.base: 'bse' is not among the sources; did you mean 'base'?" in refusal(flow)
    del flow.job["space"]["base"]
    for name, adapter in (("json", "lora"), ("math", "other-lora")):
        flow.job["sources"][name] = {"model": "models/base", "adapter": f"models/{adapter}"}
    derived = sound(flow)
    assert derived.baselines["base"] == derived.job.sources["base"]
    assert "task arithmetic" in derived.baselines
    del flow.job["sources"]["base"]
    assert next(iter(sound(flow).baselines)) == "base"


def test_inputs_that_are_deeper_than_any_path_have_room(flow: Place) -> None:
    flow.job["space"]["max_hops"] = 2
    layers = read_inventory(flow.folder / "models" / "json").layers
    assert sound(flow).capacity == Capacity(layers=2 * layers, hops=max(layers, 2))
    assert layers > 1


def test_weights_are_merged_where_no_layers_are_routed(place: Place) -> None:
    assert planned(place).capacity is None


def test_data_flow_over_a_recipe_in_a_file_or_written_out(flow: Place) -> None:
    (flow.folder / "best.yaml").write_text(yaml.safe_dump(known_recipe(flow, json=0.5, math=0.75)))
    flow.job["space"] |= {
        "inputs": ["file", "here", "math"],
        "recipes": {"file": "best.yaml", "here": known_recipe(flow, json=1.0, math=0.25)},
    }
    plan = sound(flow)
    assert plan.donor.model == str(flow.folder / "models" / "base")
    one = plan.space.recipe(plan.landmarks["layers:here"])
    assert isinstance(one, Stack)
    assert isinstance(one.inputs["file"], Merge)
    job = plan.job
    assert type(job).model_validate_json(json.dumps(job.model_dump(mode="json"))) == job


def test_a_search_maps_its_parents_to_the_bases_vocabulary(tongues: Place) -> None:
    tongues.job["space"]["tokenizer"] = "base"
    plan = planned(tongues)
    warnings = [warning for warning in check_job(plan) if not warning.startswith("budget: ")]
    assert all("another chat template" in warning for warning in warnings)
    over = plan.space
    shapes = checkpoint_shapes(tongues.folder / "dialects" / "base")
    candidates = {"middle": over.recipe(tuple(0.5 for _ in over.genes))} | dict(plan.baselines)
    assert list(candidates) == ["middle", "base", "a", "b", "uniform merge", "task arithmetic"]
    for label, recipe in candidates.items():
        assert isinstance(recipe, Merge) or label == "base"
        RecipePlan(recipe, label).check()
        RecipePlan(recipe, label).check_engine(plan.donor)
        found = {n: tuple(t.shape) for n, t in MergedWeights(recipe).tensors()}
        assert found == shapes, label
    for genome in over.landmarks().values():
        assert over.genome(over.recipe(genome)) == pytest.approx(genome)


def test_a_space_of_tables_over_the_seeds(niches: Place) -> None:
    plan = planned(niches)
    over = plan.space
    assert isinstance(over, SegmentsSpace)
    assert list(plan.landmarks) == ["seed:json", "seed:math", "uniform"]
    assert plan.donor == plan.job.sources["base"]
    assert plan.capacity is None
    assert list(plan.baselines) == ["base", "json", "math", "uniform merge", "task arithmetic"]
    seed_pool = over.seed_pool
    assert seed_pool.seeds == ("json", "math")
    assert len(seed_pool.grids[0].edges) > 50
    a, b = (
        PiecewiseCoefficients.seed(seed_pool.seeds, seed_pool.sizes, name)
        for name in seed_pool.seeds
    )
    split = seed_pool.grids[0].edges[20]
    child = cross(a, b, splits=[split], ratios=[0.25], grams=seed_pool.grams)
    found = dict(MergedWeights(over.recipe((child.to_text(),)), "float32").tensors())
    (flat,) = flattened(plan.job.sources["math"], [Selector()], "r")
    vectors = [
        np.concatenate([stored[name].double().numpy().ravel() for name in flat.starts])
        for stored in (tiny_tensors(2), tiny_tensors(1))
    ]
    norms = np.linalg.norm(vectors[0]) * np.linalg.norm(vectors[1])
    omega = np.arccos(vectors[0] @ vectors[1] / norms)
    t = np.where(np.arange(flat.size) < split, 0.25, 0.75)
    expected = (np.sin((1 - t) * omega) * vectors[0] + np.sin(t * omega) * vectors[1]) / np.sin(
        omega
    )
    got = np.concatenate([found[name].double().numpy().ravel() for name in flat.starts])
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
