"""Recipes over adapters that are refused before a weight is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import nullcontext as does_not_raise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.errors import RecipeError, SourceError
from evomerge.merging.bank import Bank
from evomerge.models.adapter_compatibility import adapter_base, check_adapters, check_fits
from evomerge.models.adapter_headers import read_adapter_inventory
from evomerge.models.compatibility import check_compatibility
from evomerge.models.headers import Headers
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack
from tests.families import HIDDEN, VOCABULARY, Family, tiny_tensors, write_adapter, write_model

Q1 = "model.layers.1.self_attn.q_proj"


def merge(method: str, base: Recipe | None, inputs: Mapping[str, Recipe], **more: Any) -> Merge:
    named = {"base": base} if base else {}
    own = {name: {"weight": 0.5} for name in inputs}
    return Merge(
        method=method,
        base="base" if base else None,
        inputs={**named, **inputs},
        rules=(Rule(inputs=own),),
        **more,
    )


def adapter(family: Family, name: str, *, on: Source | None = None, **config: Any) -> Source:
    rank = config.get("r", 2)
    factors = {Q1: (torch.ones(rank, HIDDEN), torch.ones(HIDDEN, rank))}
    folder = write_adapter(family.folder / name, factors, **config)
    return Source(model=(on or family.base).model, adapter=str(folder))


def refused(recipe: Recipe) -> str:
    with pytest.raises(RecipeError) as caught:
        check_adapters(recipe, signatures(), origin="r.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def no_adapter(recipe: Recipe) -> str:
    with pytest.raises(RecipeError) as caught:
        adapter_base(recipe, signatures(), origin="r.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("r.yaml: the result is not one adapter: ")
    return str(caught.value)


@pytest.mark.parametrize("method", ["lorahub", "lora_lego"])
def test_an_operand_that_is_no_adapter_on_the_base(family: Family, method: str) -> None:
    def said(base: Recipe, one: Recipe) -> str:
        recipe = merge(method, base, {"l": family.lora, "x": one})
        outer = Merge(method="lines", base="base", inputs={"base": family.base, "in": recipe})
        assert refused(outer).startswith("r.yaml: inputs.in: ")
        return refused(recipe)

    base = family.base
    start = f"r.yaml: method '{method}' merges LoRA adapters on one model; "
    assert said(base, family.math) == f"{start}'x' has no adapter"
    assert said(base, base) == f"{start}'x' has no adapter"
    assert f"{start}'x' is an adapter on " in said(base, adapter(family, "y", on=family.math))
    assert said(base, merge("linear", None, {"m": family.math})) == f"{start}'x' is a recipe"
    assert said(family.other, family.lora) == f"{start}the base 'base' has an adapter of its own"
    inner = merge("linear", None, {"m": family.math})
    assert said(inner, family.lora) == f"{start}the base 'base' is a recipe"


def test_the_same_folder_by_another_path_is_the_same_model(family: Family) -> None:
    detour = f"{family.folder}/math/../base"
    one = family.lora.model_copy(update={"model": detour})
    with does_not_raise():
        check_adapters(merge("lorahub", family.base, {"l": one}), signatures(), origin="r")


def test_factors_of_other_ranks_or_scales(family: Family) -> None:
    wide = merge("lorahub", family.base, {"l": family.lora, "x": adapter(family, "x", r=3)})
    assert (
        "on model.layers.1.self_attn.q_proj.weight 'l' has 2 and 2, 'x' has 3 and 1.33333"
        in refused(wide)
    )
    strong = adapter(family, "s", lora_alpha=8)
    assert "'l' has 2 and 2, 'x' has 2 and 4" in refused(
        merge("lorahub", family.base, {"l": family.lora, "x": strong})
    )
    lego = wide.model_copy(update={"method": "lora_lego"})
    check_adapters(lego, signatures(), origin="r")


def test_what_is_one_adapter(family: Family) -> None:
    inputs = {"l": family.lora, "o": family.other}
    for method in ("task_arithmetic", "multislerp", "lorahub", "lora_lego"):
        recipe = merge(method, family.base, inputs)
        assert adapter_base(recipe, signatures(), origin="r") == family.base
        outer = Merge(method="lines", base="base", inputs={"base": family.base, "in": recipe})
        assert adapter_base(outer, signatures(), origin="r") == family.base


def test_what_is_not_one_adapter(family: Family) -> None:
    base, inputs = family.base, {"l": family.lora, "o": family.other}
    assert "the recipe is a source" in no_adapter(family.lora)
    hops = (Hop(of="l", layer=0),)
    stack = Stack(inputs={"l": family.lora}, embedding="l", head="l", hops=hops)
    assert "kind 'stack' changes no weight" in no_adapter(stack)
    assert "method 'ties' (family elementwise)" in no_adapter(merge("ties", base, inputs))
    assert "method 'linear' combines whole models" in no_adapter(merge("linear", None, inputs))
    assert "name that model as 'base'" in no_adapter(merge("multislerp", None, inputs))
    full = merge("task_arithmetic", base, inputs | {"m": family.math})
    assert "takes adapters on one model; 'm' has no adapter" in no_adapter(full)
    foreign = adapter(family, "foreign", on=family.math)
    assert "'x' is an adapter on " in no_adapter(
        merge("task_arithmetic", base, inputs | {"x": foreign})
    )
    other = merge("task_arithmetic", family.math, {"x": foreign})
    assert "inputs.in: its base is another model" in no_adapter(
        merge("task_arithmetic", base, {"in": other})
    )
    inner = merge("task_arithmetic", base, {"in": merge("ties", base, inputs)})
    assert "inputs.in: method 'ties'" in no_adapter(inner)


def test_dora_is_no_change_of_low_rank(family: Family) -> None:
    source = adapter(family, "dora", on=family.base)
    assert source.adapter is not None
    folder = Path(source.adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    for key in [key for key in tensors if "lora_B" in key]:
        norms = key.replace("lora_B.weight", "lora_magnitude_vector")
        tensors[norms] = torch.ones(tensors[key].shape[0])
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(SourceError, match=r"use_dora is None in adapter_config\.json"):
        no_adapter(merge("task_arithmetic", family.base, {"x": source}))
    config = json.loads((folder / "adapter_config.json").read_text()) | {"use_dora": True}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    said = no_adapter(merge("task_arithmetic", family.base, {"x": source}))
    assert "'x' changes model.layers." in said
    assert "by use_dora, which is no product of two matrices" in said


def test_twins_of_the_base_are_other_models(family: Family) -> None:
    twin = Source(model=str(write_model(family.folder / "twin", tiny_tensors(0))))
    one = family.lora.model_copy(update={"model": twin.model})
    assert "is an adapter on" in no_adapter(merge("task_arithmetic", family.base, {"l": one}))


@pytest.mark.parametrize(
    ("config", "module", "what"),
    [
        ({"tie_word_embeddings": True}, "lm_head", "which is the embedding of"),
        ({}, "model.layers.7.self_attn.q_proj", "no such tensor"),
    ],
)
def test_an_adapter_that_does_not_fit_its_model(
    family: Family, config: dict[str, object], module: str, what: str
) -> None:
    """Also where the shapes would fit: a tied head that is stored."""
    heights = {Q1: HIDDEN, "lm_head": VOCABULARY}
    square = {f"{one}.weight": torch.ones(rows, HIDDEN) for one, rows in heights.items()}
    base = Source(model=str(write_model(family.folder / "odd", tiny_tensors(0) | square, **config)))
    model = Headers().inventory(base)
    factors = {module: (torch.ones(2, HIDDEN), torch.ones(heights.get(module, HIDDEN), 2))}
    folder = write_adapter(family.folder / "adapter", factors)
    with pytest.raises(SourceError, match=re.escape(what)):
        check_fits(read_adapter_inventory(folder), model)
    source = Source(model=base.model, adapter=str(folder))
    with pytest.raises(SourceError, match=re.escape(what)):
        check_compatibility(source, signatures(), origin="r.yaml")
    with pytest.raises(SourceError, match=re.escape(what)):
        Bank([source])
