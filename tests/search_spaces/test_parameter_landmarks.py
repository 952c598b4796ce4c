"""What is tried first beside the uniform merge and each parent: sparsified parents, and sums."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.recipe.source import Source
from evomerge.search_spaces.base import named
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.value import parse
from tests.facts import Facts


def over_parents(count: int, **config: Any) -> ParameterSpace:
    """A space over the parents `a`, `b`, `c` and so on."""
    sources = {name: Source(model=name) for name in ("base", *"abcdefgh"[:count])}
    data = {"kind": "parameter", "base": "base", "method": "ties", "genes": {"weight": [0, 1.5]}}
    parsed = parse(ParameterSpaceConfig, data | config, origin="job: space")
    return ParameterSpace(parsed, sources, Facts(30))


@pytest.mark.parametrize(
    ("count", "labels"),
    [
        (2, ["sum:a+b"]),
        (3, ["sum:all", "sum:a+b", "sum:a+c", "sum:b+c"]),
        (6, ["sum:all"]),
        (1, []),
    ],
)
def test_sums_are_of_all_parents_and_of_each_pair_of_few(count: int, labels: list[str]) -> None:
    assert list(over_parents(count).sums()) == labels
    assert len(over_parents(5).sums()) == 1 + 10


def test_a_sum_has_its_parents_at_weight_1_and_the_others_at_0() -> None:
    over = over_parents(
        3,
        groups={"layers": 15},
        genes={"weight": [-0.5, 1.5], "density": [0.1, 1], "lambda": [0.5, 2]},
    )
    uniform = named(over, over.landmarks()["uniform"])
    for label, genome in over.sums().items():
        summed = "abc" if label == "sum:all" else label.removeprefix("sum:").split("+")
        weights: dict[str, float | str] = {
            f"{parent}.weight@{group}": float(parent in summed)
            for group in ("layers0-14", "layers15-29")
            for parent in "abc"
        }
        assert named(over, genome) == pytest.approx(uniform | weights)
    assert label == "sum:b+c"


def test_a_sum_lies_in_the_ranges_and_leaves_parents_out_by_their_switches() -> None:
    near = over_parents(3, genes={"weight": [0.2, 0.8]})
    values = named(near, near.sums()["sum:a+c"])
    assert values == pytest.approx({"a.weight": 0.8, "b.weight": 0.2, "c.weight": 0.8})
    switched = over_parents(3, switches=True)
    values = named(switched, switched.sums()["sum:a+c"])
    assert [values[f"{parent}.on"] for parent in "abc"] == ["on", "off", "on"]


def test_a_sum_is_of_the_first_method_that_has_task_vectors() -> None:
    several = over_parents(2, method=["linear", "task_arithmetic", "ties"])
    assert several.sums()["sum:a+b"][0] == "task_arithmetic"
    assert over_parents(2, method="linear").sums() == {}
    assert over_parents(2, base=None, method="multislerp").sums() == {}
    assert over_parents(1, method="slerp", genes={"t": [0, 1]}).sums() == {}
    assert over_parents(2, method="iso_c", genes={"lambda": [0, 1]}).sums() == {}


def test_parents_are_tried_sparsified() -> None:
    over = over_parents(2, genes={"weight": [0, 1.5], "density": [0.1, 1]})
    marks = over.sparsified(0.3)
    assert list(marks) == ["sparsified:a", "sparsified:b"]
    values = named(over, marks["sparsified:b"])
    assert values["b.density"] == pytest.approx(0.3)
    assert (values["b.weight"], values["a.weight"]) == (1.0, 0.0)
    several = over_parents(
        2, method=["task_arithmetic", "ties"], genes={"weight": [0, 1.5], "density": [0.1, 1]}
    )
    assert {genome[0] for genome in several.sparsified(0.3).values()} == {"ties"}
    assert over_parents(2, genes={"weight": [0, 1]}).sparsified(0.3) == {}
    assert over_parents(2, method="task_arithmetic", genes={"weight": [0, 1]}).sparsified(0.3) == {}
