"""Gram matrices of real seeds against those of their flat vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from evomerge.errors import SourceError
from evomerge.merging.disk_cache import DiskCache
from evomerge.merging.grams import matrices, measure
from evomerge.merging.weights import MergedWeights
from evomerge.models.flat import flattened, grids
from evomerge.recipe.digest import plain
from evomerge.recipe.grid import Grams
from evomerge.recipe.segments import Angle, PiecewiseCoefficients, cross
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Segments
from tests.families import Family, tiny_tensors, write_model
from tests.merging.test_segments import flat_vector
from tests.recipe.test_segments import merged

WHERE = [Selector(component="attention"), Selector()]


def expected(family: Family, resolution: int) -> list[Grams]:
    change = 2.0 * family.b @ family.a  # alpha / r = 4 / 2
    stored = [tiny_tensors(1), tiny_tensors(2), tiny_tensors(0)]
    name = "model.layers.1.self_attn.q_proj.weight"
    stored[2][name] = stored[2][name].float() + change
    cells = grids(family.math, WHERE, resolution, "r")
    return [
        Grams.of(np.stack([flat_vector(one, list(flat.starts)) for one in stored]), grid)
        for flat, grid in zip(flattened(family.math, WHERE, "r"), cells, strict=True)
    ]


@pytest.mark.parametrize(
    ("resolution", "piece"), [(1, 1 << 20), (1, 100), (7, 64), (100, 1 << 20), (1 << 20, 1 << 20)]
)
def test_cells_hold_the_inner_products_of_their_elements(
    family: Family, resolution: int, piece: int
) -> None:
    seeds = [family.math, family.json, family.lora]
    found = measure(
        seeds, family.math, WHERE, resolution, DiskCache(None), piece=piece, forget_bytes=100
    )
    assert len(found) == len(WHERE)
    for one, other in zip(found, expected(family, resolution), strict=True):
        assert one.grid == other.grid
        np.testing.assert_allclose(one.matrices, other.matrices, rtol=1e-6, atol=1e-12)


def test_they_are_kept_until_a_seed_changes(family: Family, tmp_path: Path) -> None:
    disk_cache = DiskCache(tmp_path / "shelf")
    seeds = [family.math, family.json]

    def kept() -> list[Path]:
        return sorted((tmp_path / "shelf").rglob("*.safetensors"))

    first = measure(seeds, family.math, WHERE, 10, disk_cache)
    (path,) = kept()
    written = path.stat().st_mtime_ns
    again = measure(seeds, family.math, WHERE, 10, disk_cache)
    assert kept() == [path]
    assert path.stat().st_mtime_ns == written
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.matrices, two.matrices)
    measure(seeds, family.math, [Selector()], 10, disk_cache)
    measure(seeds, family.math, WHERE, 11, disk_cache)
    measure(seeds[::-1], family.math, WHERE, 10, disk_cache)
    assert len(kept()) == 4
    other = {name: one + 1 for name, one in tiny_tensors(2).items()}
    changed = Source(model=str(write_model(tmp_path / "changed", other)))
    found = measure([family.math, changed], family.math, WHERE, 10, disk_cache)
    assert len(kept()) == 5
    assert not np.array_equal(found[0].matrices, first[0].matrices)


@pytest.fixture
def threads() -> Iterator[None]:
    """Torch's threads as they were, once the test is over."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_plain_data_says_the_same(family: Family) -> None:
    request = {
        "seeds": [plain(family.math), plain(family.json)],
        "like": plain(family.math),
        "where": [one.model_dump(mode="json") for one in WHERE],
        "resolution": 20,
    }
    found = measure([family.math, family.json], family.math, WHERE, 20, DiskCache(None))
    assert len(found) == len(WHERE)
    for one, other in zip(matrices(request), found, strict=True):
        np.testing.assert_array_equal(np.array(one), other.matrices)


def test_a_seed_that_is_not_finite_is_refused(family: Family, tmp_path: Path) -> None:
    tensors = tiny_tensors(4)
    tensors["model.norm.weight"][3] = torch.inf
    wrong = Source(model=str(write_model(tmp_path / "wrong", tensors)))
    with pytest.raises(SourceError, match=r"model.norm.weight' is not finite"):
        measure([family.math, wrong], family.math, WHERE, 10, DiskCache(None))


@pytest.mark.parametrize("angle", ["whole", "segment"])
def test_a_member_of_depth_50_is_what_merging_step_by_step_gives(
    family: Family, angle: Angle
) -> None:
    """Real files, two chromosomes; each step of the reference merges whole float64 vectors."""
    seeds = [family.math, family.json, family.base]
    grams = measure(seeds, family.math, WHERE, 200, DiskCache(None))
    flats = flattened(family.math, WHERE, "r")
    names, sizes = ("math", "json", "base"), [flat.size for flat in flats]
    tables = [PiecewiseCoefficients.seed(names, sizes, name) for name in names]
    vectors = [
        [flat_vector(tiny_tensors(seed), list(flat.starts)) for flat in flats] for seed in (1, 2, 0)
    ]
    draws = np.random.default_rng(1)
    for _ in range(50):
        mate = int(draws.integers(len(tables)))
        splits = [one.grid.below(int(draws.integers(one.grid.size))) for one in grams]
        ratios = draws.random(2).tolist()
        child = cross(
            tables[-1], tables[mate], splits=splits, ratios=ratios, grams=grams, angle=angle
        )
        pairs = zip(vectors[-1], vectors[mate], splits, ratios, strict=True)
        vectors.append([merged(*pair, angle) for pair in pairs])
        tables.append(child)
    recipe = Segments(
        base="math",
        inputs=dict(zip(names, seeds, strict=True)),
        chromosomes=tuple(
            Chromosome(
                where=where,
                ends=strand.ends.tolist(),
                coefficients=dict(zip(names, strand.coefficients.T.tolist(), strict=True)),
            )
            for where, strand in zip(WHERE, tables[-1].chromosomes, strict=True)
        ),
    )
    found = dict(MergedWeights(recipe, "float32").tensors())
    for flat, vector in zip(flats, vectors[-1], strict=True):
        got = flat_vector(found, list(flat.starts))
        assert np.linalg.norm(got - vector) <= 1e-6 * np.linalg.norm(vector)
