"""A box of a merged tensor has the bits of the whole, and no more than it is read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank
from evomerge.merging.box import Box
from evomerge.merging.compilation import Compilation
from evomerge.merging.kernel import Passes
from evomerge.merging.weights import MergedWeights
from evomerge.models.blueprint import blueprint
from evomerge.operators import signatures
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Hop, Merge, Recipe, Rule, Segments, Stack, sources_of
from tests.families import HIDDEN, Family, tiny_tensors, write_model
from tests.merging.test_node import merge

EMBEDDING, UP = "model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight"
Q1, NORM = "model.layers.1.self_attn.q_proj.weight", "model.norm.weight"


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    starts = [draw(st.integers(0, size - 1)) for size in shape]
    stops = [draw(st.integers(start + 1, n)) for start, n in zip(starts, shape, strict=True)]
    return Box(shape, tuple(zip(starts, stops, strict=True)))


@given(boxes())
@settings(max_examples=300)
def test_a_box_lies_in_even_runs(box: Box) -> None:
    whole = torch.arange(math.prod(box.shape)).view(box.shape)
    places = box.of(whole).flatten()
    assert box.is_whole == (places.numel() == whole.numel())
    runs = box.runs
    assume(runs is not None)
    assert runs is not None
    places_of_runs = [
        runs.first + i * runs.stride + j for i in range(runs.count) for j in range(runs.width)
    ]
    assert places.tolist() == places_of_runs
    for place in range(whole.numel() + 1):
        assert runs.before(place) == int((places < place).sum())
    for index, place in enumerate(places_of_runs):
        assert runs.start_of(index) == place - index % runs.width


def test_only_boxes_cut_along_three_axes_have_no_even_runs() -> None:
    shape = (3, 4, 5)
    assert Box(shape, ((0, 2), (1, 3), (0, 5))).runs is not None
    assert Box(shape, ((1, 2), (1, 3), (2, 4))).runs is not None
    assert Box(shape, ((0, 2), (0, 4), (2, 4))).runs is not None
    assert Box(shape, ((0, 2), (1, 3), (2, 4))).runs is None


def parts(shape: tuple[int, ...]) -> list[Box]:
    """Rows, columns, and a box that is cut along both."""
    if len(shape) == 1:
        return [Box(shape, ((3, shape[0]),))]
    rows, columns = (2, shape[0] - 1), (1, 5)
    return [
        Box(shape, (rows, (0, shape[1]))),
        Box(shape, ((0, shape[0]), columns)),
        Box(shape, (rows, columns)),
    ]


def has_the_bits_of_the_whole(recipe: Recipe, passes: Passes | None = None) -> None:
    sources = tuple(dict.fromkeys(sources_of(recipe)))
    one, other = (Bank(sources, passes=passes or Passes()) for _ in "ab")
    wholes, boxed = weights_of(recipe, one), weights_of(recipe, other)
    for tensor in blueprint(recipe, one).tensors:
        whole = wholes(tensor.name, torch.bfloat16)
        for box in parts(tensor.shape):
            found = boxed(tensor.name, torch.bfloat16, box)
            assert torch.equal(found, box.of(whole)), (tensor.name, box.ranges)


@pytest.mark.parametrize("method", sorted(signatures()))
def test_every_method(family: Family, method: str) -> None:
    has_the_bits_of_the_whole(merge(family, method))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ties", "dare_ties", "della", "linear"])
def test_compiled_and_in_small_blocks(family: Family, method: str) -> None:
    """Compiled of whole models alone: what an adapter leaves as it is, and what it changes, are
    forms of their own, and compiling each takes seconds."""
    has_the_bits_of_the_whole(merge(family, method), Passes(compilation=Compilation("0"), block=5))
    at_once = Passes(compilation=Compilation("1"), largest=7)
    has_the_bits_of_the_whole(without(merge(family, method), "l"), at_once)


def without(recipe: Merge, name: str) -> Merge:
    """The same without one of its inputs."""
    (rule,) = recipe.rules
    rest, own = (
        {n: one for n, one in of.items() if n != name} for of in (recipe.inputs, rule.inputs)
    )
    return recipe.model_copy(
        update={"inputs": rest, "rules": (rule.model_copy(update={"inputs": own}),)}
    )


def test_other_kinds_of_recipes(family: Family) -> None:
    inner = merge(family, "dare_ties")
    outer = Merge(
        method="ties",
        base="base",
        inputs={"base": family.base, "merged": inner, "lora": family.lora},
        rules=(Rule(inputs={n: {"weight": 0.5, "density": 0.5} for n in ("merged", "lora")}),),
    )
    hops = tuple(Hop(of=of, layer=layer) for of, layer in (("a", 1), ("b", 0), ("a", 1)))
    stack = Stack(inputs={"a": inner, "b": family.json}, embedding="a", head="b", hops=hops)
    size = sum(tensor.numel() for tensor in tiny_tensors(0).values())
    ends = (37, 140, 333, 334, 900, size)
    segments = Segments(
        base="base",
        inputs={"base": family.base, "m": family.math, "j": inner},
        chromosomes=(
            Chromosome(
                where=Selector(),
                ends=ends,
                coefficients={"m": (0.1, 0, 0.3, 0.4, 0, 0.6), "j": (0, 0.5, 0.5, 0, 0.1, 0.2)},
            ),
        ),
    )
    for recipe in (outer, stack, segments, family.lora, family.base):
        has_the_bits_of_the_whole(recipe)


@pytest.mark.parametrize(
    ("method", "share"), [("task_arithmetic", 0.5), ("ties", 0.5), ("slerp", 0.5), ("widen", 1)]
)
def test_half_a_tensor_takes_half_of_the_parents(family: Family, method: str, share: float) -> None:
    """What a method knows of the whole is the bank's, from the first candidate on."""
    recipe = merge(family, method)
    recipe = recipe.model_copy(
        update={
            "inputs": {
                name: family.math if name == "l" else one for name, one in recipe.inputs.items()
            }
        }
    )
    bank = Bank(tuple(dict.fromkeys(sources_of(recipe))))
    shape = (2 * HIDDEN, HIDDEN)
    lower = Box(shape, ((HIDDEN, 2 * HIDDEN), (0, HIDDEN)))
    weights_of(recipe, bank)(UP, torch.float32, lower)
    first = bank.read_bytes
    weights_of(recipe, bank)(UP, torch.float32)
    second = bank.read_bytes
    weights_of(recipe, bank)(UP, torch.float32, lower)
    assert bank.read_bytes - second == share * (second - first) > 0


def test_a_part_that_is_not_finite_is_found_by_whom_it_concerns(tmp_path: Path) -> None:
    tensors = tiny_tensors(0)
    tensors[UP][0, 0] = torch.inf
    source = Source(model=str(write_model(tmp_path / "bad", tensors)))
    (up,) = (one for one in MergedWeights(source).unmade() if one.name == UP)
    lower = Box(up.shape, ((HIDDEN, 2 * HIDDEN), (0, HIDDEN)))
    assert torch.equal(up.make(lower), tensors[UP][HIDDEN:])
    for box in (None, Box(up.shape, ((0, HIDDEN), (0, HIDDEN)))):
        with pytest.raises(Exception, match="not finite"):
            up.make(box)
