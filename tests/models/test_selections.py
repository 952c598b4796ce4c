"""Selectors that mean nothing in a model are found before anything is merged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evomerge.errors import RecipeError
from evomerge.models.compatibility import check_compatibility
from evomerge.models.headers import Headers
from evomerge.models.selections import empty_rules
from evomerge.operators import signatures
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from tests.architectures import saved_names
from tests.families import Family, write_model


def model(folder: Path, name: str) -> Source:
    """A folder with the tensors' names of an architecture, each with one element."""
    tensors = {tensor: torch.ones(4) for tensor in saved_names(name)}
    return Source(model=str(write_model(folder / name, tensors, num_hidden_layers=None)))


def merge(source: Source, **where: object) -> Merge:
    rules = (Rule(where=Selector.model_validate(where)), Rule())
    return Merge(method="linear", inputs={"a": source, "b": source}, rules=rules)


def refusal(source: Source, **where: object) -> str:
    with pytest.raises(RecipeError) as caught:
        check_compatibility(merge(source, **where), signatures(), origin="r")
    return str(caught.value)


def test_a_component_that_is_not_there(family: Family) -> None:
    recipe = merge(family.base, component="head")
    (sentence,) = empty_rules(recipe, Headers(), origin="r.yaml")
    assert sentence == (
        "r.yaml: rules.0: component head selects nothing in this model; it has: attention, mlp,"
        " norm, embedding"
    )
    assert not list(empty_rules(merge(family.base, component="mlp"), Headers(), origin="r"))
    nested = Merge(method="linear", inputs={"a": recipe, "b": family.math})
    (sentence,) = empty_rules(nested, Headers(), origin="r")
    assert sentence.startswith("r: inputs.a: rules.0: component head")


def test_a_name_or_layers_without_the_component(family: Family) -> None:
    (sentence,) = empty_rules(merge(family.base, name="q_prj"), Headers(), origin="r")
    assert sentence == "r: rules.0: name 'q_prj' selects nothing in this model"
    nowhere = merge(family.base, component="embedding", layers=[0, 1])
    (sentence,) = empty_rules(nowhere, Headers(), origin="r")
    assert "layers [0, 1), component embedding selects nothing" in sentence


def test_a_component_that_one_tower_has_not(tmp_path: Path) -> None:
    llava = model(tmp_path, "LLaVA")
    (sentence,) = empty_rules(merge(llava, tower="vision", component="head"), Headers(), origin="r")
    assert sentence == (
        "r: rules.0: component head selects nothing in the vision of this model; it has:"
        " attention, mlp, norm, embedding"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Llama", "this model has no experts"),
        ("gpt-oss", "this model stores all experts of a layer in one tensor"),
        ("Mixtral", "this model has 4 experts"),
    ],
)
def test_experts_that_are_not_there(tmp_path: Path, name: str, said: str) -> None:
    recipe = merge(model(tmp_path, name), experts=[4, 8])
    (sentence,) = empty_rules(recipe, Headers(), origin="r")
    assert said in sentence


def test_a_tower_that_is_not_there(tmp_path: Path) -> None:
    llava = model(tmp_path, "LLaVA")
    assert refusal(llava, tower="audio") == (
        "r: rules.0.where.tower: no tower 'audio'; the model has decoder, vision"
    )
    assert "goes beyond the vision's 3 layers" in refusal(llava, tower="vision", layers=[0, 4])
    assert "goes beyond the model's 4 layers" in refusal(llava, layers=[0, 5])
    check_compatibility(merge(llava, tower="vision", layers=[0, 3]), signatures(), origin="r")


def test_layers_of_two_towers_without_a_decoder(tmp_path: Path) -> None:
    clip = model(tmp_path, "CLIP")
    assert refusal(clip, layers=[0, 1]) == (
        "r: rules.0.where.layers: the model has the towers text, vision, each with layers of its"
        " own; say which with 'tower'"
    )
    check_compatibility(merge(clip, layers=[0, 4], tower="text"), signatures(), origin="r")
