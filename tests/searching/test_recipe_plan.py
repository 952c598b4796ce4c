"""One recipe, before it is built."""

from __future__ import annotations

import math
from pathlib import Path

from evomerge.models.inventory import read_inventory
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack
from evomerge.searching.recipe_plan import RecipePlan
from tests.place import Place


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
