"""From a job to what it names."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from evomerge import api
from evomerge.config import read_job
from evomerge.engines.config import EngineConfig
from evomerge.engines.weights import checkpoint_shapes
from evomerge.errors import ConfigError, UserError
from evomerge.merging.weights import MergedWeights
from evomerge.models.flat import flattened
from evomerge.models.inventory import read_inventory
from evomerge.recipe.digest import plain
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.segments import PiecewiseCoefficients, cross
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Stack
from evomerge.search_spaces.base import named
from evomerge.search_spaces.segments import SegmentsSpace
from evomerge.searching.forecast import cost
from evomerge.searching.plan import Plan
from evomerge.searching.recipe_plan import RecipePlan
from tests.families import tiny_tensors, write_model
from tests.merging.dialects import Dialects
from tests.pipelines import write_pipeline
from tests.place import Place
from tests.small_job import SmallJob


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "here")


def planned(place: Place) -> Plan:
    """The plan of the job as it now stands."""
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml")


def recipe(place: Place, **weights: float) -> dict[str, Any]:
    models = place.folder / "models"
    return {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": {name: {"model": str(models / name)} for name in ("base", "json", "math")},
        "rules": [{"where": {}} | {n: {"weight": w, "density": 0.5} for n, w in weights.items()}],
    }


def test_known_recipes_are_tried_first_whether_in_a_file_or_written_out(place: Place) -> None:
    (place.folder / "best.yaml").write_text(yaml.safe_dump(recipe(place, json=0.5, math=0.75)))
    place.job["warm_start"] = {
        "landmarks": False,
        "recipes": ["best.yaml", recipe(place, json=0.25, math=1.0)],
        "genomes": [{"json.weight": 1, "math.weight": 0, "json.density": 1, "math.density": 1}],
    }
    plan = planned(place)
    marks = {label: named(plan.space, g) for label, g in plan.landmarks.items()}
    assert list(marks) == ["genome:0", "recipe:0", "recipe:1"]
    assert marks["recipe:0"]["math.weight"] == pytest.approx(0.75)
    assert marks["recipe:1"]["json.weight"] == pytest.approx(0.25)
    job = plan.job
    assert type(job).model_validate_json(json.dumps(job.model_dump(mode="json"))) == job


def test_sums_are_tried_after_the_space_s_landmarks_where_they_are_asked_for(place: Place) -> None:
    plain = list(planned(place).landmarks)
    assert plain == ["uniform", "parent:json", "parent:math"]
    assert "sums" not in planned(place).job.model_dump(mode="json")["warm_start"]
    genome = {"json.weight": 1, "math.weight": 0, "json.density": 1, "math.density": 1}
    place.job["warm_start"] = {"sums": True, "genomes": [genome]}
    plan = planned(place)
    assert list(plan.landmarks) == [*plain, "sum:json+math", "genome:0"]
    values = named(plan.space, plan.landmarks["sum:json+math"])
    assert values == dict.fromkeys(genome, pytest.approx(1.0))
    job = plan.job
    assert type(job).model_validate_json(json.dumps(job.model_dump(mode="json"))) == job


@pytest.mark.parametrize(
    ("asked", "key"), [({"sums": True}, "sums"), ({"sparsified": 0.3}, "sparsified")]
)
def test_a_space_without_what_is_asked_for_is_refused(
    place: Place, asked: dict[str, Any], key: str
) -> None:
    place.job["space"] |= {"method": "linear", "genes": {"weight": [0, 1]}}
    place.job["warm_start"] = asked
    with pytest.raises(
        ConfigError, match=rf"warm_start\.{key}: the space has no .* or leave it out"
    ):
        planned(place).check()


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


@pytest.fixture
def flow(place: Place) -> Place:
    """A job over data flow: from json, through math, and through a recipe over both."""
    place.job["space"] = {"kind": "dataflow", "inputs": ["json", "math"], "repetitions": 2}
    place.job["optimizer"] = {"kind": "random"}
    place.job["budget"] = {"candidates": 60}
    return place


def flowing(place: Place) -> Plan:
    plan = planned(place)
    assert plan.check() == []
    return plan


def test_data_flow_starts_from_its_first_input(flow: Place) -> None:
    plan = flowing(flow)
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
    named = flowing(flow)
    assert list(named.baselines)[:5] == ["base", "json", "math", "uniform merge", "task arithmetic"]
    for label, baseline in named.baselines.items():
        RecipePlan(baseline, label).check()
    flow.job["space"]["base"] = "bse"
    assert "space.base: 'bse' is not among the sources; did you mean 'base'?" in said(flow)
    del flow.job["space"]["base"]
    for name, adapter in (("json", "lora"), ("math", "other-lora")):
        flow.job["sources"][name] = {"model": "models/base", "adapter": f"models/{adapter}"}
    derived = flowing(flow)
    assert derived.baselines["base"] == derived.job.sources["base"]
    assert "task arithmetic" in derived.baselines
    del flow.job["sources"]["base"]
    assert next(iter(flowing(flow).baselines)) == "base"


def test_inputs_that_are_deeper_than_any_path_have_room(flow: Place) -> None:
    flow.job["space"]["max_hops"] = 2
    layers = read_inventory(flow.folder / "models" / "json").layers
    assert flowing(flow).capacity == Capacity(layers=2 * layers, hops=max(layers, 2))
    assert layers > 1


def test_weights_are_merged_where_no_layers_are_routed(place: Place) -> None:
    assert planned(place).capacity is None


def test_data_flow_over_a_recipe_in_a_file_or_written_out(flow: Place) -> None:
    (flow.folder / "best.yaml").write_text(yaml.safe_dump(recipe(flow, json=0.5, math=0.75)))
    flow.job["space"] |= {
        "inputs": ["file", "here", "math"],
        "recipes": {"file": "best.yaml", "here": recipe(flow, json=1.0, math=0.25)},
    }
    plan = flowing(flow)
    assert plan.donor.model == str(flow.folder / "models" / "base")
    one = plan.space.recipe(plan.landmarks["layers:here"])
    assert isinstance(one, Stack)
    assert isinstance(one.inputs["file"], Merge)
    job = plan.job
    assert type(job).model_validate_json(json.dumps(job.model_dump(mode="json"))) == job


def test_a_recipe_needs_room_for_the_layers_that_run(flow: Place) -> None:
    hops = (Hop(of="a", layer=0), Hop(of="a", layer=1), Hop(of="a", layer=0))
    source = Source(model=str(flow.folder / "models" / "json"))
    one = Stack(inputs={"a": source}, embedding="a", head="a", hops=hops)
    assert RecipePlan(one).capacity == Capacity(layers=2, hops=3)
    assert RecipePlan(source).capacity is None


def test_what_a_recipe_costs_is_that_of_the_model_it_makes(flow: Place) -> None:
    source = Source(model=str(flow.folder / "models" / "json"))
    inventory = read_inventory(Path(source.model))
    assert RecipePlan(source).cost()["parameters"] == inventory.parameters
    layer = sum(
        math.prod(tensor.shape)
        for name, tensor in inventory.tensors.items()
        if name.startswith("model.layers.0.")
    )
    hops = tuple(Hop(of="a", layer=layer) for layer in (*range(inventory.layers), 0))
    deeper = Stack(inputs={"a": source}, embedding="a", head="a", hops=hops)
    assert RecipePlan(deeper).cost()["parameters"] == inventory.parameters + layer


def test_an_optimizer_that_cannot_do_the_search_is_refused_before_it_begins(flow: Place) -> None:
    flow.job["objective"] = {"also": ["layers"]}
    flow.job["optimizer"] = {"kind": "cma_es"}
    assert "this search has 2" in said(flow)
    flow.job["optimizer"] = {"kind": "optuna", "sampler": "NSGAIISampler"}
    assert flowing(flow).objective.names == ("fitness", "layers")


@pytest.mark.parametrize(
    ("config", "law"),
    [
        ({"model_type": "gpt2"}, "cannot be routed, only of gemma, llama"),
        ({"rope_theta": 12.5}, "the stack's inputs differ in rotary settings"),
        ({"num_attention_heads": 1}, "the stack's inputs differ in num_attention_heads"),
    ],
)
def test_models_whose_layers_cannot_be_routed_are_refused(
    flow: Place, config: dict[str, Any], law: str
) -> None:
    names = ("json", "math") if "model_type" in config else ("math",)
    for name in names:
        path = flow.folder / "models" / name / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
    assert law in said(flow)


@pytest.fixture
def tongues(place: Place) -> Place:
    """The job over models whose vocabularies differ."""
    Dialects(place.folder / "dialects")
    names = ("base", "a", "b")
    place.job["sources"] = {name: {"model": f"dialects/{name}"} for name in names}
    return place


def said(place: Place) -> str:
    with pytest.raises(UserError) as caught:
        planned(place).check()
    assert str(caught.value).startswith("job.yaml: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_vocabularies_that_differ_are_refused_with_a_way_out(tongues: Place) -> None:
    assert "map them by token with tokenizer: {source: base}" in said(tongues)


def test_a_search_maps_its_parents_to_the_bases_vocabulary(tongues: Place) -> None:
    tongues.job["space"]["tokenizer"] = "base"
    plan = planned(tongues)
    warnings = [warning for warning in plan.check() if not warning.startswith("budget: ")]
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


def test_a_live_engine_has_one_vocabulary(tongues: Place) -> None:
    tongues.job["space"]["tokenizer"] = "union"
    assert "the tokenizer is another than that of" in said(tongues)
    tongues.job["space"]["tokenizer"] = {"source": "base", "pad_to_multiple_of": 8}
    assert "get 16 rows, the live engine has the 11 of" in said(tongues)
    tongues.job["space"] |= {"base": "a", "tokenizer": "base"}
    message = said(tongues)
    assert "may not be called" in message
    tongues.job["sources"]["origin"] = tongues.job["sources"].pop("base")
    message = said(tongues)
    assert message.endswith("set tokenizer.pad_to_multiple_of: 17")
    tongues.job["space"]["tokenizer"] = {"source": "base", "pad_to_multiple_of": 17}
    planned(tongues).check()
    tongues.job["space"]["tokenizer"] = "uion"
    assert "space.tokenizer.source: 'uion' is not an input; did you mean 'union'" in said(tongues)


def test_a_recipe_of_another_vocabulary_is_built_before_it_is_scored(tongues: Place) -> None:
    tongues.job["space"]["tokenizer"] = "base"
    plan = planned(tongues)
    over = plan.space
    recipe = over.recipe(tuple(0.5 for _ in over.genes))
    other = Merge.model_validate({**recipe.model_dump(mode="json"), "tokenizer": "union"})
    with pytest.raises(UserError, match=r"build the model \(evomerge merge\)"):
        api.evaluate(other, plan.job.evaluator, split="holdout", engine=EngineConfig())


@pytest.fixture
def niches(place: Place) -> Place:
    """A job over tables of two seeds."""
    place.job["space"] = {"kind": "segments", "base": "base", "resolution": 50}
    place.job["optimizer"] = {"kind": "random"}  # which nothing here asks
    return place


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


@pytest.mark.parametrize(
    ("space", "law"),
    [
        ({"seeds": ["math"]}, r"space.seeds: members are bred from at least two seeds, got 1"),
        ({"seeds": ["math", "jsom"]}, r"space.seeds: 'jsom' is not .*; did you mean 'json'\?"),
        (
            {"chromosomes": [{"name": "bias"}, {}]},
            r"space: chromosomes.0: name 'bias' selects nothing",
        ),
    ],
)
def test_seeds_that_cannot_be_crossed(niches: Place, space: dict[str, Any], law: str) -> None:
    niches.job["space"] |= space
    with pytest.raises(UserError, match=law):
        planned(niches).check()


def test_seeds_of_different_shapes_are_refused(niches: Place) -> None:
    odd = niches.folder / "models" / "odd"
    wide = {name: torch.cat([one, one]) for name, one in tiny_tensors(7).items()}
    write_model(odd, wide)
    niches.job["sources"]["odd"] = {"model": "models/odd"}
    with pytest.raises(UserError) as caught:
        RecipePlan(planned(niches).samples[0], "job.yaml").check()
    assert "has shape" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_optimizer_that_cannot_cross_refuses_a_space_of_tables(niches: Place) -> None:
    niches.job["optimizer"] = {"kind": "cma_es"}
    with pytest.raises(UserError, match="cma_es moves numbers and choices"):
        planned(niches).check()


def test_known_tables_and_their_recipes_are_tried_first(niches: Place) -> None:
    over = planned(niches).space
    assert isinstance(over, SegmentsSpace)
    genome = over.landmarks()["uniform"]
    niches.job["warm_start"] = {
        "landmarks": False,
        "genomes": [{"table": genome[0]}],
        "recipes": [plain(over.recipe(genome))],
    }
    plan = planned(niches)
    assert plan.landmarks == {"genome:0": genome, "recipe:0": genome}
    niches.job["warm_start"]["genomes"] = [{"table": "{}"}]
    with pytest.raises(UserError, match=r"warm_start.genomes.0: not a table"):
        _ = planned(niches).landmarks


@pytest.mark.parametrize("model", ["", "/unet"])
def test_a_search_over_models_of_diffusers_is_refused_before_its_space(
    small_job: SmallJob, model: str
) -> None:
    folders = [write_pipeline(small_job.folder / name, seed) for seed, name in enumerate("ab")]
    sources = {folder.name: {"model": f"{folder}{model}"} for folder in folders}
    space = {"kind": "parameter", "base": "a", "method": "linear", "groups": {"layers": 2}}
    small_job.write(sources=sources, space=space)
    with pytest.raises(UserError, match=r"no engine runs \w+, a model of diffusers; build merges"):
        Plan(read_job(small_job.path)).check()
