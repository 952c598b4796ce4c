"""Segments recipes over real files against the same sums of whole vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from evomerge.errors import CandidateError, RecipeError, SourceError
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.models.compatibility import check_compatibility
from evomerge.models.flat import flattened
from evomerge.models.sources import model_folder
from evomerge.operators import signatures
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Hop, Merge, Recipe, Rule, Segments, Stack
from tests.families import Family, tiny_tensors, write_model

ATTENTION = Selector(component="attention")


def flat_vector(tensors: dict[str, Tensor], names: list[str]) -> NDArray[np.float64]:
    return np.concatenate([tensors[name].double().numpy().ravel() for name in names])


def made(recipe: Recipe, dtype: str | None = "float32") -> dict[str, Tensor]:
    return dict(MergedWeights(recipe, dtype).tensors())


def one(family: Family, ends: list[int], **coefficients: list[float]) -> Segments:
    """One chromosome over math and json."""
    rows = {name: tuple(row) for name, row in coefficients.items()}
    return Segments(
        base="math",
        inputs={"math": family.math, "json": family.json},
        chromosomes=(Chromosome(ends=tuple(ends), coefficients=rows),),
    )


@pytest.mark.parametrize("seed", range(4))
def test_ranges_may_end_anywhere(family: Family, seed: int) -> None:
    draws = np.random.default_rng(seed)
    where = [ATTENTION, Selector()]
    flats = flattened(family.math, where, "r")
    inputs = {"math": family.math, "json": family.json, "base": family.base}
    stored = {"math": tiny_tensors(1), "json": tiny_tensors(2), "base": tiny_tensors(0)}
    chromosomes, expected = [], {}
    for selector, flat in zip(where, flats, strict=True):
        inside = np.sort(draws.choice(np.arange(1, flat.size), 30, replace=False)).tolist()
        ends = (*inside, flat.size)
        coefficients = {name: draws.normal(size=31).tolist() for name in inputs}
        chromosomes.append(Chromosome(where=selector, ends=ends, coefficients=coefficients))
        names, lengths = list(flat.starts), np.diff([0, *ends])
        total = sum(
            np.repeat(coefficients[name], lengths) * flat_vector(stored[name], names)
            for name in inputs
        )
        for name, start in flat.starts.items():
            shape = stored["math"][name].shape
            expected[name] = np.asarray(total)[start : start + shape.numel()].reshape(shape)
    recipe = Segments(base="base", inputs=inputs, chromosomes=tuple(chromosomes))
    check_compatibility(recipe, signatures(), origin="r")
    found = made(recipe)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        np.testing.assert_allclose(tensor.double().numpy(), expected[name], rtol=1e-5, atol=1e-6)


def test_one_of_the_inputs_is_given_back_bit_for_bit(family: Family) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    recipe = one(family, [100, size], json=[1.0, 1.0])
    found, expected = made(recipe, None), tiny_tensors(2)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name])


def test_constant_coefficients_are_a_linear_merge_bit_for_bit(family: Family) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    weights = {"math": {"weight": 0.3}, "json": {"weight": 0.7}}
    linear = Merge(
        method="linear",
        inputs={"math": family.math, "json": family.json},
        rules=(Rule(inputs=weights),),
        options={"normalize": False},
    )
    found, wanted = made(one(family, [size], math=[0.3], json=[0.7]), None), made(linear, None)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_steps_along_singular_directions_are_added_to_the_sum(family: Family) -> None:
    """As the space writes them: the base with the steps, less the base."""
    size = flattened(family.math, [Selector()], "r")[0].size
    noise = Merge(
        method="singular_noise",
        base="base",
        inputs={"base": family.base, "math~4": family.math},
        rules=(Rule(inputs={"math~4": {"weight": 0.5}}),),
    )
    recipe = Segments(
        base="base",
        inputs={"base": family.base, "json": family.json, "~noise": noise},
        chromosomes=(
            Chromosome(ends=(size,), coefficients={"json": (1,), "~noise": (1,), "base": (-1,)}),
        ),
    )
    check_compatibility(recipe, signatures(), origin="r")
    moved = 0
    for name, tensor in made(recipe).items():
        base, math, json = (tiny_tensors(i)[name].double() for i in (0, 1, 2))
        step = tensor.double() - json
        if tensor.dim() < 2 or "embed" in name or "lm_head" in name:
            assert step.abs().max() < 1e-6, name
            continue
        u, s, vt = torch.linalg.svd(math - base, full_matrices=False)
        inside = u.mT @ step @ vt.mT
        factors = inside.diagonal() / s
        torch.testing.assert_close(inside, inside.diagonal().diag(), atol=2e-5, rtol=0)
        assert bool(((factors > -1e-3) & (factors < 0.501)).all()), name
        moved += 1
    assert moved > 4


def test_where_nothing_has_a_share_there_are_zeros(family: Family) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    found = made(one(family, [9, size], math=[0.0, 1.0]))["model.embed_tokens.weight"].view(-1)
    assert not found[:9].any()
    assert torch.equal(found[9:], tiny_tensors(1)["model.embed_tokens.weight"].float().view(-1)[9:])


def test_a_tied_head_that_is_stored_stays_the_embedding(tmp_path: Path) -> None:
    sources = {}
    for seed, name in enumerate(("a", "b")):
        tensors = tiny_tensors(seed)
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        sources[name] = Source(model=str(write_model(tmp_path / name, tensors)))
    size = flattened(sources["a"], [Selector()], "r")[0].size
    chromosome = Chromosome(ends=(7, size), coefficients={"a": (0.2, 0.9), "b": (0.8, 0.1)})
    found = made(Segments(base="a", inputs=sources, chromosomes=(chromosome,)))
    assert "model.embed_tokens.weight" in found
    assert "lm_head.weight" not in found


def test_buffers_are_the_base_s(tmp_path: Path) -> None:
    sources = {}
    for seed, name in enumerate(("a", "b")):
        buffer = {"model.layers.0.ids": torch.arange(3) + 10 * seed}
        sources[name] = Source(model=str(write_model(tmp_path / name, tiny_tensors(seed) | buffer)))
    size = flattened(sources["b"], [Selector()], "r")[0].size
    chromosome = Chromosome(ends=(size,), coefficients={"a": (1.0,)})
    found = made(Segments(base="b", inputs=sources, chromosomes=(chromosome,)))
    assert found["model.layers.0.ids"].tolist() == [10, 11, 12]


def test_inputs_may_be_adapters_merges_and_stacks(family: Family) -> None:
    inner = Merge(
        method="linear",
        inputs={"math": family.math, "json": family.json},
        rules=(Rule(inputs={"math": {"weight": 1.0}, "json": {"weight": 1.0}}),),
    )
    same = Stack(
        inputs={"m": family.math},
        embedding="m",
        head="m",
        hops=tuple(Hop(of="m", layer=i) for i in (2, 1, 0)),
    )
    inputs: dict[str, Recipe] = {"inner": inner, "lora": family.lora, "stack": same}
    size = flattened(family.math, [Selector()], "r")[0].size
    coefficients = {"inner": (0.5, 0.2), "lora": (0.25, 0.2), "stack": (0.25, 0.6)}
    chromosome = Chromosome(ends=(size // 2, size), coefficients=coefficients)
    recipe = Segments(base="lora", inputs=inputs, chromosomes=(chromosome,))
    check_compatibility(recipe, signatures(), origin="r")
    parts, found = {name: made(recipe) for name, recipe in inputs.items()}, made(recipe)
    flat = flattened(family.math, [Selector()], "r")[0]
    checked = set()
    for name, start in flat.starts.items():
        row = int(start >= size // 2)
        if start < size // 2 < start + found[name].numel():
            continue
        expected = sum(coefficients[one][row] * parts[one][name] for one in inputs)
        assert torch.allclose(found[name], torch.as_tensor(expected), atol=1e-6)
        checked.add(name)
    assert len(checked) >= len(flat.starts) - 1, "all but the tensor that the range ends in"


def test_a_checkpoint_of_it_is_a_model(family: Family, tmp_path: Path) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    write_checkpoint(one(family, [50, size], math=[0.5, 1.0]), tmp_path / "out", card="")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config == json.loads((model_folder(family.math) / "config.json").read_text())
    assert "kind: segments" in (tmp_path / "out" / "recipe.yaml").read_text()


def test_what_leaves_the_finite_numbers_is_refused(family: Family) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    with pytest.raises(CandidateError, match="not finite"):
        made(one(family, [3, size], math=[1e300, 1.0]))


def test_ends_have_to_cover_the_weights(family: Family) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    with pytest.raises(
        RecipeError, match=rf"r: chromosomes.0.ends: .* is {size - 1}, .*are {size}"
    ):
        check_compatibility(one(family, [5, size - 1], math=[1.0, 1.0]), signatures(), origin="r")


def test_a_range_of_layers_has_to_be_there(family: Family) -> None:
    size = flattened(family.math, [Selector()], "r")[0].size
    lower = Chromosome(where=Selector(layers=(0, 4)), ends=(5,), coefficients={})
    recipe = one(family, [size], math=[1.0])
    recipe = recipe.model_copy(update={"chromosomes": (lower, *recipe.chromosomes)})
    with pytest.raises(RecipeError, match=r"chromosomes.0.where.layers: \[0, 4\] goes beyond"):
        check_compatibility(recipe, signatures(), origin="r")


def test_seeds_of_different_shapes_are_refused(family: Family, tmp_path: Path) -> None:
    tensors: dict[str, Any] = tiny_tensors(5)
    tensors["model.norm.weight"] = torch.ones(9)
    other = Source(model=str(write_model(tmp_path / "other", tensors)))
    chromosome = Chromosome(ends=(5,), coefficients={"math": (1.0,)})
    recipe = Segments(
        base="math", inputs={"math": family.math, "other": other}, chromosomes=(chromosome,)
    )
    with pytest.raises(SourceError, match=r"r: model.norm.weight has shape \[8\] in .* \[9\] in"):
        check_compatibility(recipe, signatures(), origin="r")
