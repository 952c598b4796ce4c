"""Adapters as peft loads them: base and exported adapter are the merged model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evomerge.errors import RecipeError, UserError
from evomerge.merging.adapter import read_adapter
from evomerge.merging.adapter_checkpoint import write_adapter
from evomerge.merging.weights import MergedWeights
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.recipe.yaml import read_recipe
from tests.families import Family
from tests.merging.loadable import Loadable, check_loads, with_peft

ROOT = Path(__file__).parents[2]


@pytest.fixture
def loadable(tmp_path: Path) -> Loadable:
    return Loadable(tmp_path / "models")


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("task_arithmetic", ("one", "two", "three")),
        ("multislerp", ("one", "two")),
        ("lora_lego", ("one", "two", "three")),
        ("lorahub", ("one", "three")),
    ],
)
def test_base_and_adapter_are_the_merged_model(
    loadable: Loadable, tmp_path: Path, method: str, names: tuple[str, ...]
) -> None:
    recipe = loadable.recipe(method, *names)
    out = tmp_path / "out"
    write_adapter(recipe, out, card="# card")
    check_loads(recipe, loadable.base.model, out)
    again = Source(model=loadable.base.model, adapter=str(out))
    for (_, one), (name, other) in zip(
        MergedWeights(again, "float32").tensors(),
        MergedWeights(recipe, "float32").tensors(),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=2e-6), name


def test_ranks_by_module_have_scale_one(loadable: Loadable, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    recipe = loadable.recipe("task_arithmetic", "one", "two", "three")
    write_adapter(
        recipe,
        tmp_path / "out",
        card="# card",
        progress=lambda done, total: heard.append((done, total)),
    )
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 7
    assert config["rank_pattern"] == config["alpha_pattern"]
    assert config["rank_pattern"]["^model.layers.0.self_attn.q_proj"] == 4
    assert config["rank_pattern"]["^model.layers.1.mlp.up_proj"] == 5
    assert config["target_modules"] == ["down_proj", "q_proj", "up_proj", "v_proj"]
    assert {change.scale for change in plain_changes(tmp_path / "out").values()} == {1.0}
    assert len({total for _, total in heard}) == 1
    assert heard[-1][0] == heard[-1][1]
    assert (tmp_path / "out" / "README.md").read_text() == "# card"
    assert read_recipe(tmp_path / "out" / "recipe.yaml") == recipe
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "out"]


def plain_changes(folder: Path) -> dict[str, LowRank]:
    changes = read_adapter(folder)
    return {name: change for name, change in changes.items() if isinstance(change, LowRank)}


def test_modules_are_named_in_full_where_their_likes_stay_as_they_are(
    loadable: Loadable, tmp_path: Path
) -> None:
    write_adapter(loadable.recipe("task_arithmetic", "two"), tmp_path / "out", card="")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["target_modules"] == [
        "model.layers.1.mlp.up_proj",
        "model.layers.1.self_attn.q_proj",
    ]


def test_a_truncated_adapter_is_the_nearest_of_its_rank(loadable: Loadable, tmp_path: Path) -> None:
    recipe = loadable.recipe("task_arithmetic", "one", "two", "three")
    write_adapter(recipe, tmp_path / "exact", card="")
    write_adapter(recipe, tmp_path / "cut", card="", rank=3)
    exact, cut = plain_changes(tmp_path / "exact"), plain_changes(tmp_path / "cut")
    for name, change in exact.items():
        assert cut[name].rank == min(change.rank, 3)
        s = torch.linalg.svdvals(change.dense())
        error = float((cut[name].dense() - change.dense()).norm())
        assert error == pytest.approx(float(s[3:].norm()), abs=1e-4)
    with_peft(loadable.base.model, tmp_path / "cut")


def test_dtype(loadable: Loadable, tmp_path: Path) -> None:
    recipe = loadable.recipe("task_arithmetic", "one", "two")
    write_adapter(recipe, tmp_path / "exact", card="")
    write_adapter(recipe, tmp_path / "half", card="", dtype="bfloat16")
    exact = load_file(tmp_path / "exact" / "adapter_model.safetensors")
    half = load_file(tmp_path / "half" / "adapter_model.safetensors")
    for key, tensor in exact.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(half[key], tensor.bfloat16())


def test_what_is_no_adapter_leaves_nothing_behind(family: Family, tmp_path: Path) -> None:
    inputs = {"base": family.base, "l": family.lora}

    def with_weight(method: str, weight: float) -> Merge:
        rules = (Rule(inputs={"l": {"weight": weight}}),)
        return Merge(method=method, base="base", inputs=inputs, rules=rules)

    with pytest.raises(RecipeError, match="not one adapter"):
        write_adapter(with_weight("ties", 1.0), tmp_path / "a" / "out", card="")
    with pytest.raises(RecipeError, match="changes nothing"):
        write_adapter(with_weight("task_arithmetic", 0.0), tmp_path / "a" / "out", card="")
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "a" / "mine").touch()
    with pytest.raises(UserError, match="exists already"):
        write_adapter(with_weight("task_arithmetic", 1.0), tmp_path / "a", card="")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["task_arithmetic", "model_stock", "lorahub", "lora_lego"])
def test_the_real_specialists(method: str, tmp_path: Path) -> None:
    base = Source(model=str(ROOT / ".cache" / "smollm2-135m-instruct"))
    skills = ("json", "math", "spell")
    folder = ROOT / "examples" / "specialists" / "adapters"
    adapters = {one: base.model_copy(update={"adapter": str(folder / one)}) for one in skills}
    weights = {"json": 0.6, "math": 0.9, "spell": -0.2}
    own = {name: {"weight": weight} for name, weight in weights.items()}
    recipe = Merge(
        method=method,
        base="base",
        inputs={"base": base, **adapters},
        rules=(Rule(inputs={} if method == "model_stock" else own),),
    )
    write_adapter(recipe, tmp_path / "out", card="")
    check_loads(recipe, base.model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["r"] == {"task_arithmetic": 18, "model_stock": 18}.get(method, 6)
    assert config["rank_pattern"] == {}
    # Model Stock leaves a tensor alone where the experts point away from each other.
    assert (len(config["target_modules"]) == 7) == (method != "model_stock")
