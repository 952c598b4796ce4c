"""A path in words."""

from __future__ import annotations

import pytest

from evomerge.recipe.path_text import path_text, runs_again
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack

Run = tuple[str, int] | tuple[str, int, float]


def stack(*hops: Run) -> Stack:
    return Stack(
        inputs={"math": Source(model="./math"), "json": Source(model="./json")},
        embedding="math",
        head="math",
        hops=tuple(Hop(of=of, layer=layer, scale=(*scale, 1.0)[0]) for of, layer, *scale in hops),
    )


@pytest.mark.parametrize(
    ("hops", "said"),
    [
        ([("math", 3)], "math 3"),
        (
            [
                *(("math", n) for n in range(15)),
                *(("json", n) for n in range(15, 30)),
                ("math", 29),
            ],
            "math 0-14, json 15-29, math 29",
        ),
        # Only what follows upwards by one is a range.
        ([("math", 0), ("math", 2), ("math", 1), ("math", 1)], "math 0, 2, 1, 1"),
        ([("math", 0), ("json", 1), ("json", 2)], "math 0, json 1-2"),
        ([("math", 0), ("json", 1), ("json", 5), ("math", 5)], "math 0, json 1, 5, math 5"),
        ([("math", 6), ("json", 7, 0.93)], "math 6, json 7 x0.93"),
        ([("math", 1, 0.5), ("math", 2, 0.5)], "math 1-2 x0.5"),
        ([("math", 1), ("math", 2, -1.23456), ("math", 3, 0.9)], "math 1-3 x-1.23 to 1"),
        ([("math", 1, 10.0), ("math", 2, 9.0)], "math 1-2 x9 to 10"),
        ([("math", 1, 1.0000001)], "math 1"),
    ],
)
def test_layers_that_follow_one_another_are_a_range(hops: list[Run], said: str) -> None:
    assert path_text(stack(*hops)) == said


def test_a_layer_that_has_run_before_runs_again() -> None:
    path = stack(("math", 0), ("json", 0), ("math", 0, 0.5), ("json", 1), ("math", 0))
    assert runs_again(path) == (False, False, True, False, True)
