"""Parameter space: genes, groups, recipes and landmarks."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import nullcontext as does_not_raise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import ConfigError, RecipeError
from evomerge.models.anatomy import anatomy_of
from evomerge.operators import signatures
from evomerge.recipe.check import check_methods
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.search_spaces.base import encode, named
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.value import parse
from tests.facts import Facts

SOURCES = {name: Source(model=name, statistics=f"of-{name}") for name in ("base", "json", "math")}
GROUPS: list[dict[str, Any]] = [
    {},
    {"layers": 10},
    {"components": ["attention"]},
    {"layers": 7, "components": ["attention", "mlp", "other"]},
    {"layers": 15, "components": ["norm", "embedding", "head"]},
    {"layers": 15, "components": ["attention", "mlp"], "modules": ["up_proj"]},
]
NAMES = [
    *(
        f"model.layers.{i}.{part}.weight"
        for i in (0, 6, 9, 10, 17, 22, 29)
        for part in ("self_attn.q_proj", "mlp.up_proj", "input_layernorm")
    ),
    "model.embed_tokens.weight",
    "model.norm.weight",
    "lm_head.weight",
]

place = anatomy_of(NAMES).place


def space(**config: Any) -> ParameterSpace:
    data = {"kind": "parameter", "base": "base", "method": "ties", "genes": {"weight": [0, 1.5]}}
    parsed = parse(ParameterSpaceConfig, data | config, origin="job: space")
    return ParameterSpace(parsed, SOURCES, Facts(30))


def genome(over: ParameterSpace, unit: float = 0.25) -> Genome:
    return tuple(g.choices[0] if isinstance(g, ChoiceGene) else unit for g in over.genes)


def test_the_papers_setting_has_two_genes_a_parent() -> None:
    over = space(method="dare_ties", genes={"weight": [0, 1], "density": [0.05, 1]})
    assert [gene.name for gene in over.genes] == [
        "json.weight",
        "math.weight",
        "json.density",
        "math.density",
    ]
    rule = over.recipe((0.5, 1.0, 0.0, 1.0)).rules[0]
    assert rule.inputs == {
        "json": {"weight": 0.5, "density": 0.05},
        "math": {"weight": 1.0, "density": 1.0},
    }


@pytest.mark.parametrize("groups", GROUPS)
def test_every_gene_has_a_name_of_its_own_and_moves_some_tensor(groups: dict[str, Any]) -> None:
    over = space(groups=groups)
    names = [gene.name for gene in over.genes]
    assert len(set(names)) == len(names)
    here = genome(over)
    for i in range(len(names)):
        there = (*here[:i], 0.75, *here[i + 1 :])
        rules = [
            (
                over.recipe(here).rule_for(place(n)),
                over.recipe(there).rule_for(place(n)),
            )
            for n in NAMES
        ]
        assert any(one != two for one, two in rules), f"{names[i]} is dead"


@pytest.mark.parametrize("groups", GROUPS)
def test_recipes_are_valid_and_the_map_is_pure(groups: dict[str, Any]) -> None:
    over = space(
        groups=groups,
        method=["task_arithmetic", "ties"],
        genes={"weight": [0, 1], "density": [0.1, 1]},
    )
    recipe = over.recipe(genome(over))
    check_methods(recipe, signatures(), origin="r")
    assert recipe == over.recipe(genome(over))


def test_tensors_outside_the_layers_go_with_the_nearest_block() -> None:
    over = space(groups={"layers": 10})
    recipe = over.recipe((0.0, 0.0, 0.5, 0.5, 1.0, 1.0))
    weight = {n: recipe.rule_for(place(n)).inputs["math"]["weight"] for n in NAMES}
    assert weight["model.embed_tokens.weight"] == weight["model.layers.9.mlp.up_proj.weight"] == 0.0
    assert weight["model.layers.10.mlp.up_proj.weight"] == 0.75
    assert weight["lm_head.weight"] == weight["model.norm.weight"] == 1.5


def test_embedding_and_head_can_have_genes_of_their_own() -> None:
    over = space(groups={"layers": 10, "components": ["embedding", "other"]})
    recipe = over.recipe((1.0, 1.0, *([0.0] * 6)))
    assert recipe.rule_for(place("model.embed_tokens.weight")).inputs["math"]["weight"] == 1.5
    assert recipe.rule_for(place("lm_head.weight")).inputs["math"]["weight"] == 0.0


def test_a_method_gene_leaves_out_what_its_method_does_not_take() -> None:
    over = space(method=["task_arithmetic", "ties"], genes={"weight": [0, 1], "density": [0.1, 1]})
    arithmetic = over.recipe(("task_arithmetic", 0.5, 0.5, 0.5, 0.5))
    ties = over.recipe(("ties", 0.5, 0.5, 0.5, 0.5))
    assert "density" not in arithmetic.rules[0].inputs["math"]
    assert ties.rules[0].inputs["math"]["density"] == pytest.approx(0.55)


def test_shared_parameters_have_one_gene() -> None:
    over = space(genes={"weight": [0, 1], "lambda": [0.3, 2]})
    assert [gene.name for gene in over.genes] == ["json.weight", "math.weight", "lambda"]
    assert over.recipe((0.5, 0.5, 0.0)).rules[0].options == {"lambda": 0.3}


def test_slerp_has_one_gene() -> None:
    over = space(method="slerp", parents=["math"], genes={"t": [0, 1]})
    assert [gene.name for gene in over.genes] == ["t"]
    check_methods(over.recipe((0.3,)), signatures(), origin="r")
    assert set(over.landmarks()) == {"uniform"}


def test_landmarks_are_the_uniform_merge_and_each_parent() -> None:
    over = space(groups={"layers": 15}, genes={"weight": [0, 1.5], "density": [0.1, 1]})
    marks = over.landmarks()
    assert list(marks) == ["uniform", "parent:json", "parent:math"]
    assert named(over, marks["uniform"])["math.weight@layers0-14"] == pytest.approx(0.5)
    alone = named(over, marks["parent:math"])
    assert alone["math.weight@layers15-29"] == 1.0
    assert alone["json.weight@layers15-29"] == 0.0
    assert alone["math.density@layers0-14"] == 1.0


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_encode_inverts_named(units: list[float]) -> None:
    over = space(genes={"weight": [0, 1.5], "density": {"low": 0.01, "high": 1, "log": True}})
    assert encode(over, named(over, tuple(units))) == pytest.approx(tuple(units), abs=1e-9)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"method": "tie"}, "unknown method 'tie'; did you mean 'ties'?"),
        ({"genes": {"weigth": [0, 1]}}, "did you mean 'weight'?"),
        ({"genes": {"weight": [1, 1]}}, "low < high"),
        ({"genes": {"weight": [0, 1], "density": [0, 1]}}, "density: must be above 0"),
        ({"genes": {"density": [0.1, 1]}}, "needs a range for 'weight'"),
        ({"genes": {}}, "at least one gene"),
        ({"genes": None, "method": "uniform_soup"}, "at least one gene"),
        ({"genes": None, "method": "mwa"}, "needs a range for 'metric'"),
        ({"base": None}, "needs a base"),
        ({"base": ""}, "space.base: '' is not"),
        ({"base": "bse"}, "did you mean 'base'?"),
        ({"parents": ["maths"]}, "did you mean 'math'?"),
        ({"groups": {"layers": 31}}, "31 of a model that has 30"),
        ({"groups": {"components": ["mlp", "mlp"]}}, "each component may stand once"),
        ({"groups": {"componets": ["mlp"]}}, "did you mean 'components'?"),
        ({"options": {"lamda": 1}}, "did you mean 'lambda'?"),
    ],
)
def test_refusals(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        space(**config)
    assert said in str(caught.value)


def test_genes_left_out_are_those_that_the_method_recommends_a_range_for() -> None:
    over = space(genes=None, method="task_arithmetic")
    ranges = {
        gene.name: (gene.low, gene.high) for gene in over.genes if isinstance(gene, FloatGene)
    }
    assert ranges == {
        "json.weight": (-0.5, 1.5),
        "math.weight": (-0.5, 1.5),
        "lambda": (0.1, 1.5),
    }
    named_alone = space(genes=["weight", "lambda"], method="task_arithmetic")
    assert over.genes == named_alone.genes


def test_an_option_that_is_fixed_is_no_gene() -> None:
    over = space(genes=None, method="task_arithmetic", options={"lambda": 1.0})
    assert [gene.name for gene in over.genes] == ["json.weight", "math.weight"]


def test_a_parent_is_not_called_as_a_key_of_rules() -> None:
    config = parse(
        ParameterSpaceConfig, {"kind": "parameter", "method": "linear"}, origin="job: space"
    )
    for name in ("inputs", "options", "where"):
        sources = {"math": SOURCES["math"], name: SOURCES["json"]}
        with pytest.raises(ConfigError, match=f"^sources.{name}: rename it"):
            ParameterSpace(config, sources, Facts(30))


def test_baselines_are_over_its_base_and_parents() -> None:
    made = space(parents=["json", "math"]).baselines()
    assert list(made) == ["base", "json", "math", "uniform merge", "task arithmetic"]
    without = space(base=None, method="linear", genes={"weight": [0, 1]}, parents=["json", "math"])
    assert list(without.baselines()) == ["json", "math", "uniform merge"]
    assert space().plain_merges.base == ("base", SOURCES["base"])


@pytest.mark.process
def test_the_driver_starts_without_the_heavy_libraries() -> None:
    code = (
        "import evomerge.searching.plan, evomerge.commands.main, sys;"
        " sys.exit(any(m in sys.modules for m in HEAVY))"
    )
    code = code.replace("HEAVY", "('torch', 'vllm', 'lm_eval', 'ray')")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("method", ["ties", ["ties", "linear", "dare_ties"]])
@given(data=st.data())
def test_a_recipe_of_the_space_gives_its_genome_back(
    method: Any, groups: dict[str, Any], data: st.DataObject
) -> None:
    over = space(method=method, groups=groups, genes={"weight": [0.1, 1.5], "lambda": [0.5, 2]})
    drawn = tuple(
        data.draw(st.sampled_from(gene.choices))
        if isinstance(gene, ChoiceGene)
        else data.draw(st.floats(0, 1))
        for gene in over.genes
    )
    again = over.genome(over.recipe(drawn))
    assert named(over, again) == pytest.approx(
        {
            name: value if over.recipe(drawn).method != "linear" or "lambda" not in name else 1.25
            for name, value in named(over, drawn).items()
        }
    )


def by_hand(**changes: Any) -> Merge:
    data: dict[str, Any] = {
        "method": "ties",
        "base": "zero",
        "inputs": {n: SOURCES[s] for n, s in (("zero", "base"), ("m", "math"), ("j", "json"))},
        "rules": [{"where": {}, "m": {"weight": 0.75}, "j": {"weight": 0.3}}],
    }
    return parse(Merge, data | changes, origin="r")


def test_a_recipe_by_hand_is_read_by_what_its_inputs_are() -> None:
    over = space(groups={"layers": 15, "components": ["attention"]})
    genes = named(over, over.genome(by_hand()))
    assert sorted(set(genes.values())) == pytest.approx([0.3, 0.75])
    assert genes["math.weight@layers0-14.attention"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "linear", "base": None}, "its method is 'linear', the space has ties"),
        ({"seed": 3}, "its seed is 3, the space's is 0"),
        ({"base": "m"}, "its base is not the space's"),
        (
            {"inputs": {"zero": SOURCES["base"], "m": SOURCES["math"]}, "rules": [{"where": {}}]},
            "it does not merge 'json'",
        ),
        (
            {"inputs": {**by_hand().inputs, "x": Source(model="x")}},
            "its input 'x' is no parent of the space",
        ),
        (
            {"rules": [{"where": {}, "m": {"weight": 1.75}, "j": {"weight": 0.3}}]},
            "math.weight is 1.75 at attention, where the space can only have 1.5",
        ),
        (
            {
                "rules": [
                    {"where": {"layers": [3, 4]}, "m": {"weight": 0.5}, "j": {"weight": 0.3}},
                    *by_hand().rules,
                ]
            },
            "math.weight is 0.5 at layer 3, attention, where the space can only have 0.75",
        ),
        (
            {"rules": [{"where": {}, "m": {"weight": 0.5, "density": 0.5}, "j": {"weight": 0.3}}]},
            "math.density is 0.5",
        ),
    ],
)
def test_a_recipe_that_the_space_does_not_hold(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)):
        space().genome(by_hand(**changes))


def test_a_gene_without_a_range_takes_what_its_methods_recommend() -> None:
    over = space(method="ties", genes=["weight", "lambda"])
    assert {(g.name, g.low, g.high) for g in over.genes if isinstance(g, FloatGene)} == {
        ("json.weight", 0.1, 2.0),
        ("math.weight", 0.1, 2.0),
        ("lambda", 0.3, 2.0),
    }
    both = space(method=["ties", "task_arithmetic"], genes=["weight"])
    assert {(g.low, g.high) for g in both.genes if isinstance(g, FloatGene)} == {(-0.5, 2.0)}
    (t,) = space(method="nearswap", parents=["math"], genes=["t"]).genes
    assert isinstance(t, FloatGene)
    assert t.log


def test_a_gene_for_which_nothing_is_recommended_needs_a_range() -> None:
    with pytest.raises(ConfigError, match=r"no range for 'weigth'.*did you mean 'weight'"):
        space(genes=["weigth"])


@pytest.mark.parametrize(
    "method",
    # The metrics of those left out are measured, and have to be in the recipe.
    [name for name, one in signatures().items() if one.search_ranges and "mwa" not in name],
)
def test_every_recommended_range_is_one_that_the_method_takes(method: str) -> None:
    signature = signatures()[method]
    parents = ["json", "math"][: signature.max_inputs or 2]
    over = space(method=method, parents=parents, genes=list(signature.search_ranges))
    for unit in (0.0, 0.5, 1.0):
        recipe = over.recipe(genome(over, unit))
        with does_not_raise():
            check_methods(recipe, signatures(), origin="r")


def test_a_head_that_is_the_embedding_gets_no_genes() -> None:
    groups = {"components": ["attention", "head"], "live_only": True}
    over = space(groups=groups)
    assert [gene.name for gene in over.genes] == [
        "json.weight@attention",
        "math.weight@attention",
        "json.weight@other",
        "math.weight@other",
    ]
    older = space(groups=groups | {"live_only": False})
    assert "math.weight@head" in [gene.name for gene in older.genes]


def test_a_rest_that_is_empty_gets_no_genes() -> None:
    """With all components of their own, nothing is left."""
    groups = {"components": ["attention", "mlp", "norm", "embedding", "head"], "live_only": True}
    over = space(groups=groups)
    assert not any(gene.name.endswith("@other") for gene in over.genes)
    recipe = over.recipe(genome(over))
    assert recipe.rules[-1].where.matches_all
    assert over.genome(recipe) == genome(over)


def test_a_component_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        space(groups={"components": ["mixer"], "live_only": True})
    assert str(caught.value) == (
        "space.groups.components: component mixer selects nothing in this model; it has:"
        " attention, mlp, norm, embedding"
    )


def test_experts_have_genes_of_their_own_before_the_mlp() -> None:
    names = [
        *NAMES,
        "model.layers.0.mlp.experts.0.up_proj.weight",
        "model.layers.0.mlp.gate.weight",
    ]
    groups = {"components": ["mlp", "router", "expert", "attention"], "live_only": True}
    data = {"kind": "parameter", "base": "base", "method": "ties", "genes": {"weight": [0, 1.5]}}
    parsed = parse(ParameterSpaceConfig, data | {"groups": groups}, origin="job: space")
    over = ParameterSpace(parsed, SOURCES, Facts(30, names=tuple(names)))
    recipe = over.recipe(genome(over))
    at = anatomy_of(names)
    for name, component in ((names[-2], "expert"), (names[-1], "router"), (NAMES[1], "mlp")):
        assert recipe.rule_for(at.place(name)).where.component == component


def test_modules_have_genes_of_their_own_before_components() -> None:
    names = [
        f"model.layers.{layer}.{part}.weight"
        for layer in range(4)
        for part in ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj")
    ]
    names += ["model.embed_tokens.weight", "model.norm.weight"]
    over = towered(
        tuple(names), layers=2, modules=["down_proj", "q_proj"], components=["attention"]
    )
    parts = ("down_proj", "q_proj", "attention", "other")
    assert [gene.name for gene in over.genes] == [
        f"t@layers{block}.{part}" for block in ("0-1", "2-3") for part in parts
    ]
    moved = chosen(over, tuple(names))
    assert set(moved) == set(names)
    assert moved["model.layers.1.mlp.down_proj.weight"] == "layers0-1.down_proj"
    assert moved["model.layers.3.self_attn.q_proj.weight"] == "layers2-3.q_proj"
    assert moved["model.layers.3.self_attn.k_proj.weight"] == "layers2-3.attention"
    assert moved["model.layers.0.mlp.up_proj.weight"] == "layers0-1.other"
    units = tuple((n + 1) / (len(over.genes) + 1) for n in range(len(over.genes)))
    assert over.genome(over.recipe(units)) == pytest.approx(units)


def test_modules_of_towers_and_of_the_rest() -> None:
    over = towered(layers={"encoder": 3}, modules=["SelfAttention.q"])
    moved = chosen(over)
    assert moved["encoder.block.0.layer.0.SelfAttention.q.weight"] == "encoder.SelfAttention.q"
    assert moved["decoder.block.0.layer.0.SelfAttention.q.weight"] == "SelfAttention.q"
    assert moved["decoder.block.0.layer.1.DenseReluDense.wi.weight"] == "other"


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (["q_prj"], "space.groups.modules: no tensor of this model has 'q_prj' .* mean 'q_proj'"),
        (["mlp"], "groups.modules: 'mlp' is a component; name it under components"),
        (["proj", "q_proj"], "'proj' selects all that 'q_proj' does; name that first, once"),
        (["q_proj", "q_proj"], "'q_proj' selects all that 'q_proj' does"),
        (["q proj"], "groups.modules"),
    ],
)
def test_modules_that_are_not_there(modules: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space(groups={"modules": modules})


def test_older_studies_say_nothing_of_modules() -> None:
    groups = parse(ParameterSpaceConfig, {"kind": "parameter", "method": "ties"}, origin="s").groups
    assert "modules" not in groups.model_dump()


def test_a_job_that_is_read_asks_for_live_groups_only() -> None:
    """And a study that was made before has the genes that it had."""
    read = ParameterSpaceConfig.resolved(
        {"kind": "parameter", "groups": {"components": ["head"]}}, folder=Path(), origin="job"
    )
    assert read["groups"] == {"live_only": True, "components": ["head"]}
    plain = {"kind": "parameter", "groups": {"layers": 6}}
    assert ParameterSpaceConfig.resolved(plain, folder=Path(), origin="job") == plain


T5 = (
    "shared.weight",
    *(
        f"{tower}.block.{layer}.layer.{part}.weight"
        for tower, depth in (("decoder", 4), ("encoder", 3))
        for layer in range(depth)
        for part in ("0.SelfAttention.q", "0.layer_norm", "1.DenseReluDense.wi")
    ),
    "decoder.final_layer_norm.weight",
    "encoder.final_layer_norm.weight",
    "lm_head.weight",
)


def towered(names: tuple[str, ...] = T5, **groups: Any) -> ParameterSpace:
    """A space over blocks of towers, one gene a group."""
    data: dict[str, Any] = {"kind": "parameter", "method": "slerp", "base": "json"}
    data |= {"parents": ["math"]}
    data |= {"genes": {"t": [0, 1]}, "groups": groups}
    parsed = parse(ParameterSpaceConfig, data, origin="job: space")
    return ParameterSpace(parsed, SOURCES, Facts(anatomy_of(names).layers, names=names))


def chosen(over: ParameterSpace, names: tuple[str, ...] = T5) -> dict[str, str]:
    """Tensor -> the group whose gene moves it."""
    places, moved = anatomy_of(names), dict[str, str]()
    for number, gene in enumerate(over.genes):
        units = tuple(float(n == number) for n in range(len(over.genes)))
        recipe = over.recipe(units)
        for name in names:
            if recipe.rule_for(places.place(name)).options["t"] == 1.0:
                assert name not in moved
                moved[name] = gene.name.partition("@")[2]
    return moved


def test_blocks_of_two_towers_have_genes_of_their_own() -> None:
    over = towered(layers={"encoder": 2, "decoder": 2})
    assert [gene.name for gene in over.genes] == [
        "t@decoder.layers0-1",
        "t@decoder.layers2-3",
        "t@encoder.layers0-1",
        "t@encoder.layers2-2",
        "t@other",
    ]
    moved = chosen(over)
    assert set(moved) == set(T5)
    assert moved["encoder.block.2.layer.0.layer_norm.weight"] == "encoder.layers2-2"
    assert moved["encoder.final_layer_norm.weight"] == "encoder.layers2-2"
    assert moved["decoder.block.2.layer.0.SelfAttention.q.weight"] == "decoder.layers2-3"
    assert moved["lm_head.weight"] == "decoder.layers2-3"
    assert moved["shared.weight"] == "other"
    same = towered(layers={"decoder": 2, "encoder": 2})
    assert same.genes == over.genes  # a study's record sorts the keys of a mapping


def test_a_tower_that_is_not_named_goes_with_the_rest() -> None:
    over = towered(layers={"encoder": 3}, components=["attention", "embedding"])
    assert [gene.name for gene in over.genes] == [
        "t@embedding",
        "t@encoder.attention",
        "t@encoder.other",
        "t@attention",
        "t@other",
    ]
    moved = chosen(over)
    assert moved["decoder.block.0.layer.0.SelfAttention.q.weight"] == "attention"
    assert moved["lm_head.weight"] == moved["decoder.final_layer_norm.weight"] == "other"
    assert moved["shared.weight"] == "embedding"


def test_the_inverse_over_towers() -> None:
    over = towered(layers={"encoder": 2, "decoder": 2}, components=["attention"])
    units = tuple((n + 1) / (len(over.genes) + 1) for n in range(len(over.genes)))
    assert over.genome(over.recipe(units)) == pytest.approx(units)
    by_tower = towered(layers={"encoder": 3}).recipe((0.25, 0.75))
    halves = over.genome(by_tower)
    assert {gene.name: unit for gene, unit in zip(over.genes, halves, strict=True)} == {
        gene.name: pytest.approx(0.25 if "encoder" in gene.name else 0.75) for gene in over.genes
    }


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"layers": {"vision": 2}}, "space.groups.layers: no tower 'vision'; "),
        ({"layers": {"encoder": 9}}, "space.groups.layers.encoder: 9 of a model that has 3"),
        ({"layers": {"encodr": 2}}, "no tower 'encodr'; did you mean 'encoder'?"),
        ({"layers": {"encoder": 0}}, "at least 1"),
        ({"layers": {}}, "name a tower, as in"),
        ({"layers": [2]}, "groups.layers"),
        ({"layers": {"encoder": 2}, "components": ["mixer"]}, "component mixer selects nothing"),
    ],
)
def test_towers_that_are_not_there(groups: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        towered(**groups)
    assert said in str(caught.value)


def test_a_number_of_layers_needs_a_main_tower() -> None:
    names = ("text_model.encoder.layers.0.mlp.fc1.weight", "vision_model.encoder.layers.1.a.weight")
    with pytest.raises(ConfigError, match=r"towers text, vision.*as in \{text: 1, vision: 1\}"):
        towered(names, layers=1)
    assert len(towered(names, layers={"text": 1, "vision": 1}).genes) == 2
    with pytest.raises(ConfigError, match="tell no layers; leave it out"):
        towered(("a.weight", "b.weight"), layers=1)


def test_a_model_without_layers_that_names_tell_has_one_group() -> None:
    over = towered(("a.weight", "b.weight"))
    assert [gene.name for gene in over.genes] == ["t"]
    assert set(chosen(over, ("a.weight", "b.weight")).values()) == {""}
