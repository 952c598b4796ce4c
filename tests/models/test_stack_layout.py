"""Stacks as model folders that load where evomerge is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext as does_not_raise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

import evomerge
from evomerge.conformance.layer_paths import ByHand, build_family, random_routes, tiny_config
from evomerge.conformance.tiny_models import build
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.engines.family import configuration
from evomerge.engines.stack_model import FAMILIES, obstacle
from evomerge.errors import RecipeError, SourceError
from evomerge.merging.weights import MergedWeights
from evomerge.models.stack_settings import routable
from evomerge.models.stacking import check_routable
from evomerge.recipe.layer_path import Capacity, LayerPath, pooled
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack
from evomerge.recipe.yaml import read_recipe
from tests.engines.conftest import Siblings

CPU = EngineConfig(kind="transformers", device="cpu", dtype="float32")
CONTEXT, REST = [3, 4, 5], [6, 7]
STRANGER = """
import json, sys, warnings
sys.modules["evomerge"] = None  # as where it is not installed
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(1)
context, rest = [3, 4, 5], [6, 7]
try:
    AutoModelForCausalLM.from_pretrained(sys.argv[1])
    refused = "loaded"
except ValueError as problem:
    refused = str(problem)
print("\\n@" + json.dumps(refused))  # transformers has asked on the line before
for folder in sys.argv[1:]:
    trust = {"trust_remote_code": True}
    AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", **trust).eval()
    whole = torch.tensor([context + rest])
    limits = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None}
    cached, plain = (model.generate(whole, use_cache=c, **limits).tolist() for c in (True, False))
    with torch.no_grad():
        likely = model(whole).logits[0].log_softmax(-1)
    total = sum(float(likely[i, whole[0, i + 1]]) for i in (2, 3))
    said = {"total": total, "same": cached == plain, "class": type(model).__name__}
    print("\\n@" + json.dumps(said))  # transformers may have asked, and gone on without an answer
"""


def strangers(*folders: Path) -> tuple[str, list[dict[str, Any]]]:
    """What a fresh process without evomerge finds: (why not without trust, each folder's model)."""
    ended = subprocess.run(
        [sys.executable, "-c", STRANGER, *map(str, folders)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stderr
    lines = [line[1:] for line in ended.stdout.splitlines() if line.startswith("@")]
    refused, *found = map(json.loads, lines)
    return refused, found


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> Siblings:
    root = tmp_path_factory.mktemp("siblings")
    return Siblings(build(root / "one", seed=1), build(root / "other", seed=2))


def stack_of(siblings: Siblings, layer_path: LayerPath) -> Stack:
    """Layers 0 and 1 are the first sibling's, 2 and 3 the second's."""
    inputs = {"a": Source(model=str(siblings.one)), "b": Source(model=str(siblings.other))}
    hops = tuple(
        Hop(of="ab"[layer // 2], layer=layer % 2, scale=scale)
        for layer, scale in zip(layer_path.layers, layer_path.scales, strict=True)
    )
    return Stack(inputs=inputs, embedding="a", head="a", hops=hops, scaling=layer_path.scaling)


def logprob(folder: Path) -> float:
    """What the engine says of the model in a folder."""
    (score,) = start_engine(CPU, folder).logprobs([(CONTEXT, REST)])
    return score.total


SCALED = LayerPath(layers=(0, 3, 3, 1), scales=(1.0, 1.2, 0.9, 1.0))
REPEATED = LayerPath(layers=(0, 3, 3, 1), scales=(1.0, 1.0, 1.0, 1.0))


def test_each_layer_is_stored_once(siblings: Siblings, tmp_path: Path) -> None:
    evomerge.merge(stack_of(siblings, SCALED), tmp_path / "m", local_paths=True)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (config["model_type"], config["family"]) == ("evomerge_stack", "llama")
    assert config["num_hidden_layers"] == 3
    assert config["route"] == {
        "layers": [0, 1, 1, 2],
        "scales": [1.0, 1.2, 0.9, 1.0],
        "scaling": "stream",
    }
    with safe_open(tmp_path / "m" / "model.safetensors", "pt") as stored:
        numbers = {name.split(".")[2] for name in stored.keys() if ".layers." in name}  # noqa: SIM118
    assert numbers == {"0", "1", "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert read_recipe(tmp_path / "m" / "recipe.yaml") == stack_of(siblings, SCALED)
    card = (tmp_path / "m" / "README.md").read_text()
    assert (
        'AutoModelForCausalLM.from_pretrained(folder, dtype="auto", trust_remote_code=True)' in card
    )
    assert "AutoTokenizer.from_pretrained(folder)" in card


@pytest.mark.slow
@pytest.mark.process
def test_random_paths_by_hand_in_the_engine_and_where_evomerge_is_not(
    siblings: Siblings, tmp_path: Path
) -> None:
    """Six that are not scaled, and five of each way of scaling."""
    routes = random_routes(16, layers=4, most=7, seed=5)
    stacks = [stack_of(siblings, layer_path) for layer_path in routes]
    by_hand = ByHand(list(siblings))
    engine = start_engine(CPU, siblings.one, Capacity(layers=4, hops=7))
    engine.load(MergedWeights(pooled(stacks[0], {"a": 2, "b": 2})[0]))
    folders = [tmp_path / str(number) for number in range(len(routes))]
    for stack, folder in zip(stacks, folders, strict=True):
        evomerge.merge(stack, folder, folded=True)
    refused, found = strangers(*folders)
    assert "trust_remote_code=True" in refused, "nothing else may be loaded in its place"
    assert len(found) == len(routes)
    for layer_path, stack, one in zip(routes, stacks, found, strict=True):
        expected = by_hand.logprob(layer_path, CONTEXT, REST)
        engine.layer_path(pooled(stack, {"a": 2, "b": 2})[1])
        (score,) = engine.logprobs([(CONTEXT, REST)])
        assert score.total == pytest.approx(expected, abs=2e-4), layer_path
        assert one["total"] == pytest.approx(expected, abs=2e-4), layer_path
        assert one["same"], layer_path
        assert one["class"] == "EvomergeStackForCausalLM"


@pytest.mark.parametrize("family", ["gemma", "llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_every_family(family: str, tied: bool, siblings: Siblings, tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        build_family(folder, family, like=siblings.one, seed=seed, tie_word_embeddings=tied)
    inputs = {name: Source(model=str(tmp_path / name)) for name in ("1", "2")}
    places = (("1", 2), ("2", 0), ("1", 2), ("2", 1), ("1", 0))
    layer_path = LayerPath(
        layers=(2, 3, 2, 4, 0), scales=(1.1, 0.8, 1.0, 1.0, 1.2), scaling="mlp_output"
    )
    hops = [
        Hop(of=of, layer=n, scale=s) for (of, n), s in zip(places, layer_path.scales, strict=True)
    ]
    stack = Stack(
        inputs=inputs, embedding="1", head="1", hops=tuple(hops), scaling=layer_path.scaling
    )
    evomerge.merge(stack, tmp_path / "folded")
    plain = stack.model_copy(update={"hops": tuple(Hop(of=of, layer=n) for of, n in places)})
    evomerge.merge(plain, tmp_path / "plain")
    by_hand = ByHand([tmp_path / "1", tmp_path / "2"])
    tokens = torch.tensor([CONTEXT + REST])
    folded = AutoModelForCausalLM.from_pretrained(tmp_path / "folded", trust_remote_code=True)
    repeated = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    with torch.no_grad():
        torch.testing.assert_close(folded(tokens).logits, by_hand.logits(layer_path, tokens))
        layer_path = layer_path.model_copy(update={"scales": (1.0,) * 5})
        torch.testing.assert_close(repeated(tokens).logits, by_hand.logits(layer_path, tokens))
    assert repeated.config.num_hidden_layers == 5


def test_a_plain_checkpoint_where_one_can_hold_the_stack(
    siblings: Siblings, tmp_path: Path
) -> None:
    stack = stack_of(siblings, REPEATED)
    evomerge.merge(stack, tmp_path / "plain")
    evomerge.merge(stack, tmp_path / "folded", folded=True)
    plain, folded = (
        json.loads((tmp_path / n / "config.json").read_text()) for n in ("plain", "folded")
    )
    assert (plain["model_type"], plain["num_hidden_layers"]) == ("llama", 4)
    assert (folded["model_type"], folded["num_hidden_layers"]) == ("evomerge_stack", 3)
    assert not list((tmp_path / "plain").glob("*.py"))
    assert "trust_remote_code" not in (tmp_path / "plain" / "README.md").read_text()


def test_the_engines_load_the_folder_without_trust(siblings: Siblings, tmp_path: Path) -> None:
    evomerge.merge(stack_of(siblings, SCALED), tmp_path / "m")
    expected = ByHand(list(siblings)).logprob(SCALED, CONTEXT, REST)
    assert logprob(tmp_path / "m") == pytest.approx(expected, abs=2e-4)


def test_over_merged_models(siblings: Siblings, tmp_path: Path) -> None:
    """Parameter space first, then data flow."""
    sources = {"a": Source(model=str(siblings.one)), "b": Source(model=str(siblings.other))}
    weights = {"a": {"weight": 0.3}, "b": {"weight": 0.7}}
    merged = Merge(method="linear", inputs=sources, rules=(Rule(inputs=weights),))
    hops = (Hop(of="m", layer=0), Hop(of="b", layer=1, scale=0.9), Hop(of="m", layer=1))
    inputs: dict[str, Recipe] = {"m": merged, "b": sources["b"]}
    stack = Stack(inputs=inputs, embedding="m", head="m", hops=hops)
    evomerge.merge(merged, tmp_path / "merged")
    evomerge.merge(stack, tmp_path / "m")
    layer_path = LayerPath(layers=(0, 3, 1), scales=(1.0, 0.9, 1.0))
    expected = ByHand([tmp_path / "merged", siblings.other]).logprob(layer_path, CONTEXT, REST)
    assert logprob(tmp_path / "m") == pytest.approx(expected, abs=2e-4)


def test_dtype_is_of_the_stored_layers(siblings: Siblings, tmp_path: Path) -> None:
    evomerge.merge(stack_of(siblings, SCALED), tmp_path / "m", dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", trust_remote_code=True)
    assert {one.dtype for one in model.parameters()} == {torch.bfloat16}


def test_only_a_stack_is_folded(siblings: Siblings, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="for a recipe of kind stack, and this is a source"):
        evomerge.merge(Source(model=str(siblings.one)), tmp_path / "m", folded=True)
    assert not list(tmp_path.iterdir())


def test_only_the_outermost_stack_scales(siblings: Siblings, tmp_path: Path) -> None:
    inner = stack_of(siblings, SCALED)
    outer = Stack(inputs={"s": inner}, embedding="s", head="s", hops=(Hop(of="s", layer=1),))
    with pytest.raises(RecipeError, match="only the outermost stack may scale"):
        evomerge.merge(outer, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_stack_folder_is_no_input_of_a_stack(siblings: Siblings, tmp_path: Path) -> None:
    evomerge.merge(stack_of(siblings, SCALED), tmp_path / "m")
    inputs = {"m": Source(model=str(tmp_path / "m"))}
    stack = Stack(inputs=inputs, embedding="m", head="m", hops=(Hop(of="m", layer=0),))
    with pytest.raises(SourceError, match=r"a stack with a path of its own.*recipe\.yaml"):
        evomerge.merge(stack, tmp_path / "n")


def test_a_copy_of_a_stack_folder_loads_as_well(siblings: Siblings, tmp_path: Path) -> None:
    evomerge.merge(stack_of(siblings, SCALED), tmp_path / "m")
    evomerge.merge(Source(model=str(tmp_path / "m")), tmp_path / "copy")
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert {path.name for path in (tmp_path / "copy").iterdir()} == names
    assert logprob(tmp_path / "copy") == logprob(tmp_path / "m")


def test_other_families_are_refused_before_anything_is_written(
    siblings: Siblings, tmp_path: Path
) -> None:
    config = tiny_config("granite")
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "granite")
    inputs = {"g": Source(model=str(tmp_path / "granite"))}
    stack = Stack(inputs=inputs, embedding="g", head="g", hops=(Hop(of="g", layer=0, scale=2.0),))
    with pytest.raises(SourceError, match="family 'granite' cannot be routed"):
        evomerge.merge(stack, tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["granite"]


def test_merging_and_engines_know_the_same_families() -> None:
    assert routable() == FAMILIES


@pytest.mark.parametrize(
    "about",
    [
        {"model_type": "llama"},
        {"model_type": "gemma2"},
        {"model_type": "gpt2"},
        {"model_type": "mistral"},
        {"model_type": "mistral", "sliding_window": None},
        {"model_type": "mistral", "sliding_window": 64},
        {"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": False},
        {"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": True},
        {"model_type": "qwen3", "layer_types": ["full_attention"] * 2},
        {"model_type": "qwen3", "layer_types": ["full_attention", "sliding_attention"]},
    ],
    ids=str,
)
def test_merging_refuses_what_engines_refuse_in_the_same_words(
    about: dict[str, Any], siblings: Siblings, tmp_path: Path
) -> None:
    folder = shutil.copytree(siblings.one, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | about
    (folder / "config.json").write_text(json.dumps(config))
    inputs = {"m": Source(model=str(folder))}
    stack = Stack(inputs=inputs, embedding="m", head="m", hops=(Hop(of="m", layer=0),))
    known = configuration(folder, trust_remote_code=False)
    problem = obstacle(known.model_type, known)
    if problem is None:
        with does_not_raise():
            check_routable(stack)
    else:
        with pytest.raises(SourceError) as refused:
            check_routable(stack)
        assert str(refused.value) == f"{folder}: {problem}"
