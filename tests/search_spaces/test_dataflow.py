"""Data-flow space: genes, recipes, landmarks, and the published decode gene by gene."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evomerge.errors import ConfigError, RecipeError
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Rule, Stack
from evomerge.recipe.yaml import read_mapping
from evomerge.search_spaces.dataflow import DataFlowSpace
from evomerge.search_spaces.dataflow_config import DataFlowSpaceConfig
from evomerge.value import parse
from tests.facts import Facts

CATALOG = Path(__file__).parents[2] / "search_spaces" / "dataflow"
SOURCES = {name: Source(model=f"./{name}") for name in ("a", "b")}


def config(**keys: Any) -> DataFlowSpaceConfig:
    return parse(DataFlowSpaceConfig, {"kind": "dataflow", **keys}, origin="space")


def space(layers: int = 4, **keys: Any) -> DataFlowSpace:
    return DataFlowSpace(config(**keys), SOURCES, Facts(layers))


def draw(over: DataFlowSpace, seed: int, share: float = 0.5) -> Genome:
    rng = random.Random(seed)
    return tuple(
        ("run" if rng.random() < share else "skip")
        if isinstance(gene, ChoiceGene)
        else rng.random()
        for gene in over.genes
    )


def hops(over: DataFlowSpace, genome: Genome) -> list[tuple[str, int]]:
    return [(hop.of, hop.layer) for hop in over.recipe(genome).hops]


RULES = ["none", "per_hop", "pair", "network"]


def test_the_papers_setting_is_decoded_as_its_author_published() -> None:
    """Pseudo-code of the author's answer: T = 192 hops over M = 64 layers, 190 + 64 x 64 genes."""
    data = read_mapping(CATALOG / "evollm.yaml")
    over = DataFlowSpace(parse(DataFlowSpaceConfig, data, origin="evollm"), SOURCES, Facts(32))
    assert len(over.genes) == 190 + 64 * 64
    assert over.max_hops == 192
    rng = np.random.default_rng(3)
    for _ in range(20):
        published = np.concatenate([rng.normal(size=190), rng.uniform(-0.3, 0.3, size=64 * 64)])
        path = [0, *(k % 64 for k in range(190) if published[k] > 0), 31]
        matrix = 1 + published[190:].reshape(64, 64)
        scales = [1.0, *(matrix[i, j] for i, j in itertools.pairwise(path))]

        genome = (
            *("run" if one > 0 else "skip" for one in published[:190]),
            *((published[190:] + 0.3) / 0.6).tolist(),
        )
        recipe = over.recipe(genome)
        places = [hop.layer + 32 * (hop.of == "b") for hop in recipe.hops]
        assert places == path
        assert [hop.scale for hop in recipe.hops] == pytest.approx(scales, abs=1e-12)


def test_the_paper_starts_with_its_first_models_layers_likely() -> None:
    data = read_mapping(CATALOG / "evollm.yaml")
    over = DataFlowSpace(parse(DataFlowSpaceConfig, data, origin="evollm"), SOURCES, Facts(32))
    odds = [gene.odds[1] for gene in over.genes if isinstance(gene, ChoiceGene) and gene.odds]
    assert odds == [0.977] * 32 + [0.5] * (190 - 32)
    starts = {gene.start for gene in over.genes if isinstance(gene, FloatGene)}
    assert starts == {1.0}


def test_forced_layers_do_not_run_twice_at_the_start() -> None:
    over = space(start={"own": 0.9, "other": 0.1})
    odds = [gene.odds[1] for gene in over.genes if isinstance(gene, ChoiceGene) and gene.odds]
    assert odds[:8] == [0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert odds[8:] == [0.1] * 16


def test_the_catalogs_interleaved_space_walks_upward_between_siblings() -> None:
    data = read_mapping(CATALOG / "interleaved.yaml")
    over = DataFlowSpace(parse(DataFlowSpaceConfig, data, origin="x"), SOURCES, Facts(6))
    for seed in range(20):
        depths = [layer for _, layer in hops(over, draw(over, seed))]
        steps = [after - before for before, after in itertools.pairwise(depths)]
        assert all(1 <= step <= 2 for step in steps[:-1])
    marks = {label: hops(over, genome) for label, genome in over.landmarks().items()}
    assert marks["halves:a+b"] == [*(("a", i) for i in range(3)), ("b", 3), ("b", 4), ("a", 5)]


@pytest.mark.parametrize("block", [1, 3])
@pytest.mark.parametrize("scales", RULES)
def test_a_recipe_of_the_space_gives_its_genome_back(scales: str, block: int) -> None:
    over = space(scales=scales, jumps={"most": 3}, block=block)
    for seed in range(20):
        genome = draw(over, seed)
        if scales == "network":
            slots = 3 * 8 // (2 if block == 3 else 1)
            genome = (*genome[:slots], *(0.5 for _ in genome[slots:]))
        recipe = over.recipe(genome)
        again = over.recipe(over.genome(recipe))
        assert [(h.of, h.layer) for h in again.hops] == [(h.of, h.layer) for h in recipe.hops]
        assert [h.scale for h in again.hops] == pytest.approx([h.scale for h in recipe.hops])


@pytest.mark.parametrize("scales", RULES)
@pytest.mark.parametrize("limits", [{}, {"max_hops": 5}, {"jumps": {"least": 1, "most": 2}}])
def test_genes_that_do_not_matter_change_nothing(scales: str, limits: dict[str, Any]) -> None:
    over = space(scales=scales, **limits)
    for seed in range(20):
        genome, other = draw(over, seed, 0.3), draw(over, seed + 1000)
        active = over.active(genome)
        mixed = tuple(
            mine if matters else theirs
            for mine, theirs, matters in zip(genome, other, active, strict=True)
        )
        assert over.recipe(mixed) == over.recipe(genome)


def test_a_longest_path_has_room_for_its_ends() -> None:
    with pytest.raises(ConfigError, match=r"max_hops: 3 is less than .* 4 layers; raise it"):
        space(6, block=2, max_hops=3)
    assert space(6, block=2, max_hops=3, last=False).max_hops == 3


def test_slots_that_are_passed_over_do_not_matter() -> None:
    over = space(2, order="by_depth", repetitions=1, jumps={"least": 1}, last=False)
    names = [gene.name for gene in over.genes]
    assert names == ["run@1:b.0", "run@1:a.0", "run@1:b.1", "run@1:a.1"]
    # The path begins with a.0; once b.1 runs, a.1, which is as deep, cannot.
    assert over.active(("run", "run", "run", "run")) == (False, False, True, False)
    assert over.active(("run", "run", "skip", "run")) == (False, False, True, True)


def test_scales_matter_where_they_are_used() -> None:
    over = space(scales="pair")
    genome = draw(over, 1, 0.3)
    names = [g.name for g, on in zip(over.genes, over.active(genome), strict=True) if on]
    path = hops(over, genome)
    pairs = {f"scale@{a}.{i}>{b}.{j}" for (a, i), (b, j) in itertools.pairwise(path)}
    assert {name for name in names if name.startswith("scale@")} == pairs


def test_every_gene_has_a_name_of_its_own() -> None:
    for scales in RULES:
        names = [gene.name for gene in space(scales=scales).genes]
        assert len(set(names)) == len(names)


def test_landmarks_are_each_inputs_path_and_halves_between_the_forced_ends() -> None:
    over = space()
    marks = {label: hops(over, genome) for label, genome in over.landmarks().items()}
    assert marks == {
        "input:a": [("a", 0), ("a", 1), ("a", 2), ("a", 3)],
        "layers:b": [("a", 0), ("b", 1), ("b", 2), ("a", 3)],
        "halves:a+b": [("a", 0), ("a", 1), ("b", 2), ("a", 3)],
        "halves:b+a": [("a", 0), ("b", 1), ("a", 2), ("a", 3)],
    }


def test_a_block_runs_whole_and_its_first_layer_is_scaled() -> None:
    over = space(6, block=3, scales="per_hop", repetitions=1)
    names = [gene.name for gene in over.genes]
    assert names[:4] == ["run@1:a.0-2", "run@1:a.3-5", "run@1:b.0-2", "run@1:b.3-5"]
    recipe = over.recipe(("skip", "skip", "run", "skip", 0.5, 0.5, 0.25, 0.5, 1.0))
    assert [(hop.of, hop.layer, hop.scale) for hop in recipe.hops] == [
        *(("a", i, 1.0) for i in range(3)),
        ("b", 0, 0.75),
        ("b", 1, 1.0),
        ("b", 2, 1.0),
        ("a", 3, 1.5),
        ("a", 4, 1.0),
        ("a", 5, 1.0),
    ]
    odd = recipe.model_copy(update={"hops": (*recipe.hops[:4], *recipe.hops[5:])})
    with pytest.raises(RecipeError, match="blocks"):
        over.genome(odd)
    inner = [hop.model_copy(update={"scale": 0.9}) for hop in recipe.hops]
    with pytest.raises(RecipeError, match="inside one of the blocks"):
        over.genome(recipe.model_copy(update={"hops": tuple(inner)}))


def test_landmarks_that_the_space_does_not_hold_are_left_out() -> None:
    assert set(space(jumps={"between": False}).landmarks()) == {"input:a"}
    free = space(first=False, last=False, repetitions=1)
    assert set(free.landmarks()) == {"input:a", "layers:b", "halves:a+b"}


def test_an_input_may_be_a_recipe() -> None:
    merged = Merge(method="linear", inputs=SOURCES, rules=(Rule(),))
    over = space(recipes={"m": merged.model_dump()}, inputs=["m", "b"])
    recipe = over.recipe(draw(over, 0))
    assert isinstance(recipe, Stack)
    assert recipe.inputs == {"m": merged, "b": SOURCES["b"]}
    assert recipe.embedding == recipe.head == "m"


def test_all_recipes_share_their_inputs_and_so_a_pool() -> None:
    over = space()
    first, second = (over.recipe(draw(over, seed, 0.1)) for seed in (0, 1))
    assert first.inputs == second.inputs
    sample = next(iter(over.samples()))
    assert isinstance(sample, Stack)
    assert sample.inputs == first.inputs


@pytest.mark.parametrize(
    ("recipe", "law"),
    [
        (SOURCES["a"], "is a source"),
        (Stack(inputs=SOURCES, embedding="b", head="a", hops=(Hop(of="a", layer=0),)), "embedding"),
        (
            Stack(
                inputs=SOURCES,
                embedding="a",
                head="a",
                hops=(Hop(of="a", layer=0), Hop(of="a", layer=3, scale=0.9)),
            ),
            "scales",
        ),
        (
            Stack(
                inputs=SOURCES,
                embedding="a",
                head="a",
                hops=(Hop(of="a", layer=0), Hop(of="b", layer=1)),
            ),
            "other layers, blocks or ends",
        ),
    ],
)
def test_what_the_space_does_not_hold_is_refused(recipe: Any, law: str) -> None:
    with pytest.raises(RecipeError, match=law):
        space().genome(recipe)


def test_a_jump_or_a_scale_out_of_range_is_refused() -> None:
    ends = (Hop(of="a", layer=0), Hop(of="a", layer=3, scale=1.4))
    recipe = Stack(inputs=SOURCES, embedding="a", head="a", hops=ends)
    with pytest.raises(RecipeError, match="scale of hop 1"):
        space(scales="per_hop", scale_range=[0.8, 1.2]).genome(recipe)
    far = Stack(
        inputs=SOURCES,
        embedding="a",
        head="a",
        hops=(Hop(of="a", layer=0), Hop(of="b", layer=3), Hop(of="a", layer=3)),
    )
    with pytest.raises(RecipeError, match="jump"):
        space(jumps={"most": 1}).genome(far)


@pytest.mark.parametrize(
    ("keys", "law"),
    [
        ({"inputs": ["a", "c"]}, "'c' is neither a source nor"),
        ({"inputs": ["a", "a"]}, "named twice"),
        ({"inputs": ["a"]}, "at least two"),
        ({"recipes": {"a": {"model": "x"}}}, "'a' is a source already"),
    ],
)
def test_inputs_that_do_not_exist_or_do_not_fit_are_refused(keys: Any, law: str) -> None:
    with pytest.raises(ConfigError, match=law):
        space(**keys)


@pytest.mark.parametrize(
    ("keys", "law"),
    [
        ({"scale_range": [1.1, 1.5]}, "low <= 1 <= high"),
        ({"scale_range": [1.0, 1.0]}, "low <= 1 <= high"),
        ({"scales": "matrix"}, "scales"),
        ({"max_hops": 0}, "max_hops"),
        ({"jumps": {"most": 0}}, "most"),
        ({"jumps": {"least": 3, "most": 2}}, "least <= most"),
        ({"start": {"own": 1.0}}, "own"),
        ({"repetition": 2}, "repetitions"),
    ],
)
def test_settings_out_of_law_are_refused(keys: Any, law: str) -> None:
    with pytest.raises(ConfigError, match=law):
        config(**keys)
