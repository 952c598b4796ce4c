"""Jobs that cannot be run as they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from evomerge import api
from evomerge.config import read_job
from evomerge.engines.config import EngineConfig
from evomerge.errors import UserError
from evomerge.recipe.tree import Merge
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from evomerge.searching.recipe_plan import RecipePlan
from tests.families import tiny_tensors, write_model
from tests.pipelines import write_pipeline
from tests.place import Place
from tests.searching.plans import planned, refusal, sound
from tests.small_job import SmallJob


def test_an_optimizer_that_cannot_do_the_search_is_refused_before_it_begins(flow: Place) -> None:
    flow.job["objective"] = {"also": ["layers"]}
    flow.job["optimizer"] = {"kind": "cma_es"}
    assert "this search has 2" in refusal(flow)
    flow.job["optimizer"] = {"kind": "optuna", "sampler": "NSGAIISampler"}
    assert sound(flow).objective.names == ("fitness", "layers")


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
    assert law in refusal(flow)


def test_vocabularies_that_differ_are_refused_with_a_way_out(tongues: Place) -> None:
    assert "map them by token with tokenizer: {source: base}" in refusal(tongues)


def test_a_live_engine_has_one_vocabulary(tongues: Place) -> None:
    tongues.job["space"]["tokenizer"] = "union"
    assert "the tokenizer is another than that of" in refusal(tongues)
    tongues.job["space"]["tokenizer"] = {"source": "base", "pad_to_multiple_of": 8}
    assert "get 16 rows, the live engine has the 11 of" in refusal(tongues)
    tongues.job["space"] |= {"base": "a", "tokenizer": "base"}
    message = refusal(tongues)
    assert "may not be called" in message
    tongues.job["sources"]["origin"] = tongues.job["sources"].pop("base")
    message = refusal(tongues)
    assert message.endswith("set tokenizer.pad_to_multiple_of: 17")
    tongues.job["space"]["tokenizer"] = {"source": "base", "pad_to_multiple_of": 17}
    check_job(planned(tongues))
    tongues.job["space"]["tokenizer"] = "uion"
    assert "space.tokenizer.source: 'uion' is not an input; did you mean 'union'" in refusal(
        tongues
    )


def test_a_recipe_of_another_vocabulary_is_built_before_it_is_scored(tongues: Place) -> None:
    tongues.job["space"]["tokenizer"] = "base"
    plan = planned(tongues)
    over = plan.space
    recipe = over.recipe(tuple(0.5 for _ in over.genes))
    other = Merge.model_validate({**recipe.model_dump(mode="json"), "tokenizer": "union"})
    with pytest.raises(UserError, match=r"build the model \(evomerge merge\)"):
        api.evaluate(other, plan.job.evaluator, split="holdout", engine=EngineConfig())


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
        check_job(planned(niches))


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
        check_job(planned(niches))


@pytest.mark.parametrize("model", ["", "/unet"])
def test_a_search_over_models_of_diffusers_is_refused_before_its_space(
    small_job: SmallJob, model: str
) -> None:
    folders = [write_pipeline(small_job.folder / name, seed) for seed, name in enumerate("ab")]
    sources = {folder.name: {"model": f"{folder}{model}"} for folder in folders}
    space = {"kind": "parameter", "base": "a", "method": "linear", "groups": {"layers": 2}}
    small_job.write(sources=sources, space=space)
    with pytest.raises(UserError, match=r"no engine runs \w+, a model of diffusers; build merges"):
        check_job(Plan(read_job(small_job.path)))
