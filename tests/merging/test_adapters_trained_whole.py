"""Adapters that train more than factors, on models whose head has weights of its own or not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from evomerge.errors import RecipeError, SourceError
from evomerge.merging.adapter_checkpoint import write_adapter
from evomerge.merging.weights import MergedWeights
from evomerge.models.adapter_headers import WEIGHTS, read_adapter_inventory
from evomerge.models.compatibility import check_compatibility
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
SETTINGS: dict[str, dict[str, Any]] = {
    "head and embedding whole": {
        "modules_to_save": ["lm_head", "embed_tokens"],
        "target_modules": ["q_proj"],
    },
    "factors of the embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "with norms": {"target_modules": ["embed_tokens", "lm_head"], "use_dora": True},
    "rows of both": {
        "trainable_token_indices": {"embed_tokens": [1, 3], "lm_head": [2]},
        "target_modules": ["q_proj"],
    },
    "everything": {
        "modules_to_save": ["lm_head", "norm"],
        "trainable_token_indices": [0, 9],
        "bias": "all",
        "lora_bias": True,
        "target_modules": ["q_proj", "v_proj"],
    },
}


@pytest.fixture(autouse=True)
def _warnings_of_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def model(folder: Path, **settings: Any) -> Path:
    config = transformers.Qwen2Config(
        vocab_size=24,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        **settings,
    )
    torch.manual_seed(0)
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("models") / "base", tie_word_embeddings=False)


def loaded(folder: Path, kind: Any = transformers.AutoModelForCausalLM) -> Any:
    return kind.from_pretrained(folder, dtype=torch.float32)


def moved(tuned: Any, out: Path) -> Path:
    """The adapter as peft saves it, each trainable weight moved from where it began."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    tuned.save_pretrained(out)
    return out


def trained(base: Path, out: Path, **settings: Any) -> Path:
    return moved(get_peft_model(loaded(base), LoraConfig(r=2, lora_alpha=6, **settings)), out)


def merged(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    source = Source(model=str(base), adapter=str(adapter))
    check_compatibility(source, signatures(), origin="r.yaml")
    return dict(MergedWeights(source, "float32").tensors())


def as_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = (
        PeftModel.from_pretrained(loaded(base), adapter).merge_and_unload().state_dict()
    )
    return weights


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_weights_are_those_of_peft(base: Path, tmp_path: Path, settings: str) -> None:
    adapter = trained(base, tmp_path / "adapter", **SETTINGS[settings])
    truth, before = as_peft(base, adapter), load_file(base / "model.safetensors")
    assert not torch.equal(truth[EMBEDDING], before[EMBEDDING])
    made = merged(base, adapter)
    assert made.keys() == truth.keys()
    assert [name for name in made if not made[name].allclose(truth[name], atol=1e-6)] == []


def said(source: Source) -> str:
    with pytest.raises(SourceError) as refused:
        check_compatibility(source, signatures(), origin="r.yaml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_copy_is_a_parent_s_weight(base: Path, tmp_path: Path) -> None:
    """Task vectors are taken of it as of any other weight."""
    adapter = trained(base, tmp_path / "adapter", **SETTINGS["head and embedding whole"])
    one = Source(model=str(base), adapter=str(adapter))
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": Source(model=str(base)), "one": one},
        rules=(Rule(inputs={"one": {"weight": 0.25}}),),
    )
    before, whole = load_file(base / "model.safetensors"), merged(base, adapter)
    for name, tensor in MergedWeights(recipe, "float32").tensors():
        wanted = before[name] + 0.25 * (whole[name].float() - before[name])
        assert tensor.allclose(wanted, atol=1e-6), name


def test_factors_of_an_embedding_go_into_an_adapter_again(base: Path, tmp_path: Path) -> None:
    adapter = trained(base, tmp_path / "adapter", target_modules=["q_proj", "embed_tokens"])
    path = adapter / WEIGHTS  # without the copy of the model's own that peft saves beside them
    tensors = load_file(path)
    save_file({key: own for key, own in tensors.items() if "base_layer" not in key}, path)
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs={
            "base": Source(model=str(base)),
            "one": Source(model=str(base), adapter=str(adapter)),
        },
        rules=(Rule(inputs={"one": {"weight": 0.5}}),),
    )
    write_adapter(recipe, tmp_path / "out", card="")
    truth = as_peft(base, tmp_path / "out")
    for name, tensor in MergedWeights(recipe, "float32").tensors():
        assert tensor.allclose(truth[name], atol=1e-6), name


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("head and embedding whole", "by modules_to_save"),
        ("rows of both", "by trainable_token_indices"),
        ("with norms", "by use_dora"),
        ("everything", "by trainable_token_indices"),
    ],
)
def test_no_adapter_is_made_of_it(base: Path, tmp_path: Path, settings: str, what: str) -> None:
    adapter = trained(base, tmp_path / "adapter", **SETTINGS[settings])
    inputs = {"base": Source(model=str(base)), "x": Source(model=str(base), adapter=str(adapter))}
    recipe = Merge(method="task_arithmetic", base="base", inputs=inputs)
    with pytest.raises(RecipeError, match=f"'x' changes .* {what}, which is no product of two"):
        write_adapter(recipe, tmp_path / "out", card="")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"modules_to_save": ["embed_tokens"]}, EMBEDDING),
        ({"modules_to_save": ["lm_head"]}, HEAD),
        ({"target_modules": ["embed_tokens"]}, EMBEDDING),
        ({"target_modules": ["lm_head"]}, HEAD),
    ],
)
def test_one_end_of_a_tied_model(tmp_path: Path, settings: dict[str, Any], name: str) -> None:
    """It was trained with the other end as it is, which one matrix cannot say."""
    tied = model(tmp_path / "tied", tie_word_embeddings=True)
    adapter = trained(tied, tmp_path / "adapter", **{"target_modules": ["q_proj"], **settings})
    message = said(Source(model=str(tied), adapter=str(adapter)))
    assert f"changes {name}, which is the" in message
    assert "write `tie: untie` beside `model`" in message


@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_both_ends_of_a_tied_model(tmp_path: Path, target: str) -> None:
    """The logits are those of the model that was trained; peft itself adds the change twice."""
    tied = model(tmp_path / "tied", tie_word_embeddings=True)
    settings = {"target_modules": [target], "ensure_weight_tying": True}
    adapter = trained(tied, tmp_path / "adapter", **settings)
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        truth = PeftModel.from_pretrained(loaded(tied), adapter).eval()(tokens).logits
        own = loaded(tied)
        own.load_state_dict(merged(tied, adapter) | {HEAD: merged(tied, adapter)[EMBEDDING]})
        assert own.eval()(tokens).logits.allclose(truth, atol=1e-5)
        assert not loaded(tied)(tokens).logits.allclose(truth, atol=1e-2)


def test_a_classifier_s_head(tmp_path: Path) -> None:
    """peft trains `score` whole; a language model has none, and a classifier has."""
    classifier = loaded(
        model(tmp_path / "base", pad_token_id=0, num_labels=3, tie_word_embeddings=True),
        transformers.AutoModelForSequenceClassification,
    )
    classifier.save_pretrained(tmp_path / "classifier")
    settings = LoraConfig(r=2, lora_alpha=6, task_type="SEQ_CLS", target_modules=["q_proj"])
    adapter = moved(get_peft_model(classifier, settings), tmp_path / "adapter")
    message = said(Source(model=str(tmp_path / "base"), adapter=str(adapter)))
    assert "changes score.weight" in message
    assert "load the model as the class that has it" in message
    made = merged(tmp_path / "classifier", adapter)
    kind = transformers.AutoModelForSequenceClassification
    tuned = PeftModel.from_pretrained(loaded(tmp_path / "classifier", kind), adapter)
    truth = tuned.merge_and_unload().state_dict()
    assert "score.weight" in made
    assert [name for name in made if not made[name].allclose(truth[name], atol=1e-6)] == []


def test_convolutions(tmp_path: Path) -> None:
    """A kernel (out, in, height, width) changes by B times A, each as a matrix."""
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        image_size=8,
        patch_size=4,
    )
    torch.manual_seed(0)
    kind = transformers.ViTForImageClassification
    kind(config).save_pretrained(tmp_path / "base")
    tuned = get_peft_model(
        loaded(tmp_path / "base", kind),
        LoraConfig(r=2, lora_alpha=6, target_modules=["projection", "query"]),
    )
    adapter = moved(tuned, tmp_path / "adapter")
    truth = PeftModel.from_pretrained(loaded(tmp_path / "base", kind), adapter)
    truth.merge_and_unload().save_pretrained(tmp_path / "truth")
    wanted = load_file(tmp_path / "truth" / "model.safetensors")
    made = merged(tmp_path / "base", adapter)
    assert any(own.ndim == 4 for own in made.values())
    assert [name for name in made if not made[name].allclose(wanted[name], atol=1e-6)] == []


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"trainable_token_indices": [1]}, "names 1 rows"),
        ({"trainable_token_indices": [1, 1]}, "names a row of 'model.embed_tokens' twice"),
        ({"trainable_token_indices": [1, -1]}, "names no rows of 'model.embed_tokens'"),
        ({"trainable_token_indices": None}, "names no rows of 'model.embed_tokens'"),
        ({"trainable_token_indices": {"tokens": [1, 2]}}, "names no rows of"),
        ({"trainable_token_indices": [1, 24]}, "of shape ('more than 24', 16), but"),
        ({"lora_bias": True}, "lora_bias is True, and the adapter's file has no bias"),
    ],
)
def test_settings_that_do_not_go_with_the_file(
    base: Path, tmp_path: Path, settings: dict[str, Any], what: str
) -> None:
    adapter = trained(
        base, tmp_path / "adapter", trainable_token_indices=[1, 2], target_modules=["q_proj"]
    )
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    assert what in said(Source(model=str(base), adapter=str(adapter)))


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("model.layers.0.self_attn.q_proj.weight", "peft would pass over it"),
        ("model.layers.0.self_attn.k_proj.base_layer.weight", "peft would pass over it"),
        ("model.layers.0.self_attn.q_proj.lora_C.weight", "is not a LoRA factor"),
        ("lm_head.modules_to_save.weight", "is not a LoRA factor"),
    ],
)
def test_keys_that_peft_passes_over(base: Path, tmp_path: Path, key: str, what: str) -> None:
    adapter = trained(base, tmp_path / "adapter", target_modules=["q_proj"])
    tensors = load_file(adapter / WEIGHTS)
    save_file(tensors | {f"base_model.model.{key}": torch.zeros(16, 16)}, adapter / WEIGHTS)
    with pytest.raises(SourceError, match=what):
        read_adapter_inventory(adapter)


def test_a_copy_that_is_not_finite(base: Path, tmp_path: Path) -> None:
    adapter = trained(base, tmp_path / "adapter", **SETTINGS["head and embedding whole"])
    tensors = load_file(adapter / WEIGHTS)
    tensors["base_model.model.lm_head.weight"][3, 4] = torch.nan
    save_file(tensors, adapter / WEIGHTS)
    with pytest.raises(SourceError, match=r"'base_model.model.lm_head.weight' is not finite"):
        merged(base, adapter)
