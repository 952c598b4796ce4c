"""A stack as a pool and a route."""

from __future__ import annotations

from evomerge.recipe.layer_path import LayerPath, in_use, pooled
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack

INPUTS = {"b": Source(model="./b"), "a": Source(model="./a")}
STACK = Stack(
    inputs=INPUTS,
    embedding="b",
    head="a",
    hops=(
        Hop(of="b", layer=1),
        Hop(of="a", layer=0, scale=0.5),
        Hop(of="b", layer=1, scale=2.0),
    ),
    scaling="mlp_output",
)


def places(pool: Stack) -> list[tuple[str, int]]:
    return [(hop.of, hop.layer) for hop in pool.hops]


def test_a_pool_holds_all_layers_and_says_nothing_of_the_path() -> None:
    pool, layer_path = pooled(STACK, {"a": 2, "b": 3})
    assert places(pool) == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]
    assert (pool.embedding, pool.head, pool.scaling) == ("b", "a", "stream")
    assert all(hop.scale == 1 for hop in pool.hops)
    assert layer_path == LayerPath(layers=(3, 0, 3), scales=(1.0, 0.5, 2.0), scaling="mlp_output")


def test_stacks_that_differ_in_their_paths_share_a_pool() -> None:
    other = STACK.model_copy(update={"hops": STACK.hops[:1], "scaling": "stream"})
    counts = {"a": 2, "b": 3}
    assert pooled(other, counts)[0] == pooled(STACK, counts)[0]


def test_layers_in_use_stand_once_as_they_come_first() -> None:
    pool, layer_path = in_use(STACK)
    assert places(pool) == [("b", 1), ("a", 0)]
    assert layer_path == LayerPath(layers=(0, 1, 0), scales=(1.0, 0.5, 2.0), scaling="mlp_output")
