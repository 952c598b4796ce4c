"""Against mergekit 0.1.5 itself: its configurations, built by it and by us."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.io.tasks import LoaderCache
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM

from evomerge.errors import ConfigError, RecipeError
from evomerge.interchange.convert import convert, to_mergekit
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule, Stack
from evomerge.recipe.yaml import parse_recipe
from tests.interchange.conftest import LAYERS, Llamas

pytestmark = pytest.mark.slow
"""mergekit merges each configuration as well."""

PAIR = "models: [{model: a, parameters: {weight: 0.7}}, {model: b, parameters: {weight: 0.4}}]\n"
DENSE = """models:
  - {model: a, parameters: {weight: 0.7, density: 0.5}}
  - {model: b, parameters: {weight: 0.4, density: 0.3}}
base_model: base
"""
THREE = "models: [{model: a}, {model: b}, {model: c}]\n"
SPEAKING = {
    "linear": f"{PAIR}merge_method: linear",
    "linear-sum": f"{PAIR}merge_method: linear\nparameters: {{normalize: false}}",
    "linear-base": f"{PAIR}merge_method: linear\nbase_model: a",
    "slerp": """models: [{model: base}, {model: a}]
merge_method: slerp
base_model: base
parameters: {t: [0, 0.5, 0.9]}""",
    "nuslerp": f"{PAIR}merge_method: nuslerp",
    "nuslerp-base": f"{PAIR}merge_method: nuslerp\nbase_model: base",
    "nuslerp-rows": f"{PAIR}merge_method: nuslerp\nparameters: {{nuslerp_flatten: false}}",
    "multislerp": f"{PAIR}merge_method: multislerp",
    "multislerp-base": f"{PAIR}merge_method: multislerp\nbase_model: base",
    "karcher": f"{THREE}merge_method: karcher\nbase_model: a",
    "task_arithmetic": f"{PAIR}merge_method: task_arithmetic\nbase_model: base",
    "task_arithmetic-lambda": f"""{PAIR}merge_method: task_arithmetic
base_model: base
parameters: {{lambda: 0.8, normalize: true}}""",
    "ties": f"{DENSE}merge_method: ties",
    "ties-sum": f"{DENSE}merge_method: ties\nparameters: {{normalize: false, lambda: 0.7}}",
    "dare_ties-all": f"{PAIR}merge_method: dare_ties\nbase_model: base",
    "della-all": """models: [{model: a, parameters: {weight: 0.7, epsilon: 0.0}}]
merge_method: della_linear
base_model: base""",
    "breadcrumbs": f"{DENSE}merge_method: breadcrumbs\nparameters: {{gamma: 0.1}}",
    "breadcrumbs_ties": f"{DENSE}merge_method: breadcrumbs_ties\nparameters: {{gamma: 0.1}}",
    "arcee_fusion": "models: [{model: a}]\nmerge_method: arcee_fusion\nbase_model: base",
    "nearswap": """models: [{model: a}]
merge_method: nearswap
base_model: base
parameters: {t: 1e-2}""",
    "sce": f"{THREE}merge_method: sce\nbase_model: base\nparameters: {{select_topk: 0.5}}",
    "model_stock": f"{THREE}merge_method: model_stock\nbase_model: base",
    "model_stock-rows": f"""{THREE}merge_method: model_stock
base_model: base
parameters: {{filter_wise: true}}""",
    "filters": """models:
  - model: a
    parameters:
      weight:
        - {filter: self_attn, value: [0.1, 0.9]}
        - {filter: up_proj, value: 3}
        - {filter: layernorm, value: 0.3}
        - {value: [0.2, 0.4, 0.1]}
  - {model: b, parameters: {weight: 0.4}}
merge_method: linear""",
    "filters-that-overlap": """models:
  - model: a
    parameters:
      weight: [{filter: q_proj, value: 0.1}, {filter: self_attn, value: 0.5}, {value: 0.9}]
  - model: b
    parameters: {weight: [{filter: self_attn, value: 0.3}, {filter: norm, value: 2}, 1]}
merge_method: linear""".replace(", 1]", ", {value: 1}]"),
    "slices": """slices:
  - sources:
      - {model: a, layer_range: [0, 2], parameters: {weight: 0.3}}
      - {model: b, layer_range: [0, 2], parameters: {weight: 0.9}}
  - sources:
      - {model: a, layer_range: [2, 4], parameters: {weight: 0.8}}
      - {model: b, layer_range: [2, 4], parameters: {weight: 0.1}}
    parameters: {normalize: false}
merge_method: linear""",
    "slices-of-different-layers": """slices:
  - sources:
      - {model: a, layer_range: [0, 3], parameters: {weight: [0.3, 0.9]}}
      - {model: b, layer_range: [1, 4], parameters: {weight: 0.9}}
  - sources:
      - {model: a, layer_range: [1, 4], parameters: {weight: 0.8}}
      - {model: c, layer_range: [1, 4], parameters: {weight: 0.1}}
merge_method: linear
base_model: a""",
    "passthrough": """slices:
  - sources: [{model: a, layer_range: [0, 3]}]
  - sources: [{model: b, layer_range: [1, 4]}]
merge_method: passthrough""",
    "passthrough-scaled": """models:
  - model: a
    parameters:
      scale: [{filter: o_proj, value: [0.5, 0.9]}, {filter: down_proj, value: 0}]
merge_method: passthrough""",
    "passthrough-scaled-slices": """slices:
  - sources: [{model: a, layer_range: [0, 3]}]
  - sources:
      - model: b
        layer_range: [1, 4]
        parameters:
          scale: [{filter: o_proj, value: 0.7}, {filter: down_proj, value: 0.6}, {value: 1}]
merge_method: passthrough""",
}


@pytest.fixture
def place(llamas: Llamas) -> Iterator[Path]:
    """mergekit takes relative paths from the working directory."""
    with contextlib.chdir(llamas.folder):
        yield llamas.folder


@pytest.fixture
def exact(exact_llamas: Llamas) -> Iterator[Path]:
    with contextlib.chdir(exact_llamas.folder):
        yield exact_llamas.folder


def by_mergekit(text: str, out: Path, adapters: Path | None = None) -> dict[str, Tensor]:
    config = MergeConfiguration.model_validate(yaml.safe_load(text))
    LoaderCache().flush_all()  # it knows models by their relative paths
    options = MergeOptions(
        copy_tokenizer=False,
        write_model_card=False,
        quiet=True,
        lora_merge_cache=None if adapters is None else str(adapters),
    )
    run_merge(config, str(out), options)
    return {k: v for file in out.glob("*.safetensors") for k, v in load_file(file).items()}


def converted(text: str, folder: Path) -> tuple[Recipe, list[str]]:
    file = folder / "config.yaml"
    file.write_text(text)
    recipe, warnings = convert(file)
    return parse_recipe(yaml.safe_load(recipe), origin="recipe", folder=folder), warnings


def ours(recipe: Recipe, dtype: str) -> dict[str, Tensor]:
    return dict(MergedWeights(recipe, dtype).tensors())


def test_every_method_is_spoken() -> None:
    from evomerge.interchange.methods import METHODS

    spoken = {yaml.safe_load(text)["merge_method"] for text in SPEAKING.values()}
    assert set(METHODS) - spoken == {"dare_linear", "della"}  # by chance, like their siblings


@pytest.mark.parametrize("name", SPEAKING)
def test_the_same_weights_in_float32(name: str, exact: Path, tmp_path: Path) -> None:
    text = f"{SPEAKING[name]}\ndtype: float32\n"
    theirs = by_mergekit(text, tmp_path / "out")
    recipe, _ = converted(text, tmp_path)
    mine = ours(recipe, "float32")
    assert theirs.keys() == mine.keys()
    for key, tensor in theirs.items():
        # They sum in another order: the last bit may differ, of a number about 1 or of the largest.
        limit = 4 * torch.finfo(torch.float32).eps * max(1.0, float(tensor.abs().max()))
        assert float((tensor - mine[key]).abs().max()) <= limit, key


@pytest.mark.parametrize(
    "name",
    ["ties", "ties-sum", "breadcrumbs", "breadcrumbs_ties", "passthrough", "passthrough-scaled"],
)
def test_bit_for_bit_where_the_order_of_the_sums_is_the_same(
    name: str, exact: Path, tmp_path: Path
) -> None:
    text = f"{SPEAKING[name]}\ndtype: float32\n"
    theirs = by_mergekit(text, tmp_path / "out")
    mine = ours(converted(text, tmp_path)[0], "float32")
    assert all(torch.equal(tensor, mine[key]) for key, tensor in theirs.items())


@pytest.mark.parametrize("name", ["linear", "slerp", "task_arithmetic", "nuslerp", "filters"])
def test_within_one_rounding_in_bfloat16(name: str, place: Path, tmp_path: Path) -> None:
    text = f"{SPEAKING[name]}\ndtype: float32\nout_dtype: bfloat16\n"
    theirs = by_mergekit(text, tmp_path / "out")
    mine = ours(converted(text, tmp_path)[0], "bfloat16")
    assert theirs.keys() == mine.keys()
    for key, tensor in theirs.items():
        apart = (tensor.float() - mine[key].float()).abs()
        assert bool((apart <= tensor.float().abs() * 2**-7 + 1e-7).all()), key
        assert float((apart > 0).float().mean()) < 0.02, key


@pytest.mark.parametrize("name", SPEAKING)
def test_there_and_back(name: str, exact: Path, tmp_path: Path) -> None:
    text = f"{SPEAKING[name]}\ndtype: float32\n"
    recipe, _ = converted(text, tmp_path)
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    try:
        again, _ = convert(file, dtype="float32")
    except RecipeError as refusal:
        pytest.fail(str(refusal))
    documents = list(yaml.safe_load_all(again))
    if len(documents) == 1:
        theirs = by_mergekit(again, tmp_path / "out")
        mine = ours(recipe, "float32")
        assert theirs.keys() == mine.keys()
        for key, tensor in theirs.items():
            assert torch.allclose(tensor, mine[key], atol=1e-6), key
    (tmp_path / "again.yaml").write_text(again)
    third, _ = convert(tmp_path / "again.yaml")
    back = parse_recipe(yaml.safe_load(third), origin="back", folder=tmp_path)
    mine, same = ours(recipe, "float32"), ours(back, "float32")
    assert all(torch.allclose(mine[key], same[key], atol=1e-6) for key in mine)


def test_documents_refer_to_each_other(exact: Path, tmp_path: Path) -> None:
    text = f"""name: first
{SPEAKING["ties"]}
---
models: [{{model: first, parameters: {{weight: 0.5}}}}, {{model: c, parameters: {{weight: 0.5}}}}]
merge_method: linear
"""
    recipe, _ = converted(text, tmp_path)
    assert isinstance(recipe, Merge)
    inner = recipe.inputs["first"]
    assert isinstance(inner, Merge)
    assert inner.method == "ties"


def test_adapters_and_revisions(exact: Path, tmp_path: Path) -> None:
    saved_adapter(exact / "a", tmp_path / "lora")
    text = f"""models: [{{model: 'a+{tmp_path}/lora', parameters: {{weight: 1.0}}}}]
merge_method: linear"""
    recipe, _ = converted(text, tmp_path)
    assert isinstance(recipe, Merge)
    (source,) = recipe.inputs.values()
    assert source.model_dump()["adapter"] == str(tmp_path / "lora")
    assert source.model_dump()["model"] == str(exact / "a")
    theirs = by_mergekit(f"{text}\ndtype: float32\n", tmp_path / "out", tmp_path / "merged")
    mine = ours(recipe, "float32")
    base = load_file(exact / "a" / "model.safetensors")
    assert not torch.allclose(mine[ADAPTED], base[ADAPTED])
    assert all(torch.allclose(tensor, mine[key], atol=1e-6) for key, tensor in theirs.items())


ADAPTED = "model.layers.1.self_attn.q_proj.weight"


def saved_adapter(model: Path, folder: Path) -> None:
    tuned = get_peft_model(
        LlamaForCausalLM.from_pretrained(model), LoraConfig(r=2, target_modules=["q_proj"])
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator))
    tuned.save_pretrained(folder)


def test_model_stock_is_not_extrapolated(exact: Path, tmp_path: Path) -> None:
    """A difference on purpose: with t below 0 mergekit steps away from every expert."""
    text = """models: [{model: a}, {model: b}, {model: opposite}]
merge_method: model_stock
base_model: base
dtype: float32
"""
    theirs = by_mergekit(text, tmp_path / "out")
    recipe, warnings = converted(text, tmp_path)
    assert any("t is at least 0" in warning for warning in warnings)
    base = load_file(exact / "base" / "model.safetensors")
    mine = ours(recipe, "float32")
    for key, tensor in mine.items():
        assert torch.equal(tensor, base[key]), key
        assert not torch.allclose(tensor, theirs[key], atol=1e-3), key


def test_a_recipe_in_layers_becomes_slices(exact: Path, tmp_path: Path) -> None:
    recipe = {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": {name: {"model": name} for name in ("base", "a", "b")},
        "options": {"lambda": 0.9},
        "rules": [
            {"where": {"component": "embedding"}, **_both(0.2, 1.0)},
            {"where": {"layers": [0, 2], "component": "attention"}, **_both(0.3, 0.5)},
            {"where": {"layers": [0, 2]}, **_both(0.9, 0.5)},
            {"where": {"component": "norm"}, **_both(1.0, 1.0)},
            {"where": {}, **_both(0.6, 0.25)},
        ],
    }
    file = exact / "layered.yaml"
    file.write_text(yaml.safe_dump(recipe))
    text, _ = convert(file, dtype="float32")
    config = yaml.safe_load(text)
    ranges = [one["sources"][0]["layer_range"] for one in config["slices"]]
    assert ranges == [[0, 2], [2, LAYERS]]
    theirs = by_mergekit(text, tmp_path / "out")
    mine = ours(parse_recipe(recipe, origin="r", folder=exact), "float32")
    assert all(torch.allclose(theirs[key], mine[key], atol=1e-6) for key in mine)


def _both(weight: float, density: float) -> dict[str, Any]:
    each = {"weight": weight, "density": density}
    return {"a": each, "b": {**each, "weight": weight / 2}}


def test_a_merge_before_a_stack_becomes_two_documents(exact: Path, tmp_path: Path) -> None:
    (exact / "ties.yaml").write_text(f"{SPEAKING['ties']}\ndtype: float32\n")
    merged, _ = converted((exact / "ties.yaml").read_text(), tmp_path)
    stack = {
        "kind": "stack",
        "inputs": {"m": merged.model_dump(mode="json", exclude_none=True), "c": {"model": "c"}},
        "embedding": "m",
        "head": "c",
        "hops": [{"of": "m", "layer": 0}, {"of": "m", "layer": 1}, {"of": "c", "layer": 3}],
    }
    (exact / "stack.yaml").write_text(yaml.safe_dump(stack))
    text, _ = convert(exact / "stack.yaml")
    first, second = yaml.safe_load_all(text)
    assert first["name"] == second["slices"][0]["sources"][0]["model"]
    (exact / "two.yaml").write_text(text)
    again, _ = convert(exact / "two.yaml")
    recipe = parse_recipe(yaml.safe_load(again), origin="r", folder=exact)
    assert isinstance(recipe, Stack)
    assert [hop.layer for hop in recipe.hops] == [0, 1, 3]
    assert len(digest(recipe)) == 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("merge_method: tise\nmodels: []", "no equivalent of 'tise' (did you mean 'ties'?)"),
        (f"{PAIR}merge_method: ram\nbase_model: base", "no equivalent of 'ram'"),
        (f"{PAIR}merge_method: linear\nchat_template: chatml", "chat_template"),
        (f"{PAIR}merge_method: linear\nbase_model: base", "not among its models"),
        (f"{PAIR}merge_method: linear\nslices: []", "exactly one of models and slices"),
        (
            f"{DENSE}merge_method: ties\nparameters: {{rescale: true}}",
            "ties with rescale: true has no equivalent",
        ),
        (
            DENSE.replace("weight: 0.7", "weight: -0.7") + "merge_method: ties",
            "a negative weight",
        ),
        (
            f"{SPEAKING['nuslerp-rows']}".replace("false}", "false, nuslerp_row_wise: true}"),
            "nuslerp_row_wise",
        ),
        (
            "slices: [{sources: [{model: a, layer_range: [0, 9]}]}]\nmerge_method: passthrough",
            "layer_range: [0, 9] of a, which has 4 layers",
        ),
        (
            SPEAKING["slices"].replace(
                "{model: b, layer_range: [0, 2]", "{model: b, layer_range: [0, 3]"
            ),
            "as many layers each",
        ),
        ("modules: {}\nmerge_method: linear", "modules"),
        ("- 1", "expected a mapping"),
        ("a: 1", "neither a recipe"),
    ],
)
def test_what_cannot_be_said_is_refused(text: str, said: str, exact: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        converted(text, tmp_path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))


def test_what_has_no_effect_is_told(exact: Path, tmp_path: Path) -> None:
    text = PAIR.replace("weight: 0.7", "weight: 0.7, wieght: 3") + "merge_method: linear\ndtyp: x"
    _, warnings = converted(text, tmp_path)
    assert any("'dtyp' has no effect" in w and "'dtype'" in w for w in warnings)
    assert any("'wieght' has no effect" in w and "'weight'" in w for w in warnings)
    assert any("by chance" in w for w in warnings)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"method": "tsvm", "base": "base"}, "mergekit has no method 'tsvm'"),
        ({"method": "ties", "base": "base", "options": {"scope": "global"}}, "whole model"),
        ({"method": "dare_ties", "base": "base"}, "inverse_keep"),
        ({"method": "karcher", "base": "base"}, "karcher on task vectors"),
        ({"method": "sce", "base": "base", "options": {"lambda": 0.5}}, "lambda"),
    ],
)
def test_what_mergekit_cannot_be_told(recipe: dict[str, Any], said: str, exact: Path) -> None:
    weighed = recipe["method"] in ("ties", "dare_ties")
    own = {name: {"weight": 1.0} for name in ("a", "b")} if weighed else {}
    data = {
        "kind": "merge",
        "inputs": {name: {"model": name} for name in ("base", "a", "b")},
        "rules": [{"where": {}, **own}],
        **recipe,
    }
    file = exact / "refused.yaml"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises((RecipeError, ConfigError), match=said):
        convert(file)


@pytest.mark.parametrize("setting", ["tie: untie", "tie: keep", "dequantize: true"])
def test_a_copy_that_is_read_as_no_file_has_it_is_refused(setting: str, exact: Path) -> None:
    file = exact / "copy.yaml"
    file.write_text(
        f"{{kind: merge, method: linear, inputs: {{a: {{model: a}}, b: {{model: b, {setting}}}}},"
        " rules: [{a: {weight: 0.5}, b: {weight: 0.5}}]}"
    )
    with pytest.raises(RecipeError, match=f"`{setting}`; export the model"):
        convert(file)


def test_revisions_are_written_of_models_and_of_adapters(exact: Path) -> None:
    here = {name: Source(model=str(exact / name)) for name in ("a", "b")}
    adapted = Source(model="o/a", revision="v1", adapter="o/lora", adapter_revision="v2")
    called = {here["a"]: Source(model="o/a", revision="v1"), here["b"]: adapted}
    rule = Rule(inputs={name: {"weight": 0.5} for name in here})
    text = to_mergekit(Merge(method="linear", inputs=here, rules=(rule,)), called=called)
    models = [entry["model"] for entry in yaml.safe_load(text)["models"]]
    assert models == ["o/a@v1", "o/a@v1+o/lora@v2"]
    read = MergeConfiguration.model_validate(yaml.safe_load(text)).models
    assert read is not None
    assert read[1].model.lora is not None
    assert read[1].model.lora.revision == "v2"
