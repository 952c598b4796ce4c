"""Checkpoints that older libraries saved are read as transformers loads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.weights import MergedWeights
from evomerge.models.as_found import PREFIXES
from evomerge.models.compatibility import check_compatibility
from evomerge.models.inventory import read_inventory
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

SIZES = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
Tensors = Mapping[str, Tensor]


def saved(folder: Path, kind: str, **config: object) -> Path:
    """A random model of a class of transformers, as it is saved today."""
    cls = getattr(transformers, kind)
    torch.manual_seed(0)
    cls(cls.config_class(**(SIZES | config))).save_pretrained(folder)
    return folder


def changed(folder: Path, out: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """The folder with other tensors."""
    out.mkdir()
    tensors = change(load_file(folder / "model.safetensors"))
    own = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(own, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_bytes((folder / "config.json").read_bytes())
    return out


def linear(*folders: Path) -> Merge:
    inputs = {f"m{i}": Source(model=str(folder)) for i, folder in enumerate(folders)}
    rule = Rule(inputs={name: {"weight": 1.0} for name in inputs})
    return Merge(method="linear", inputs=inputs, rules=(rule,))


def published_gpt2(tensors: Tensors) -> Tensors:
    short = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    mask = torch.ones(4, 4).tril().view(1, 1, 4, 4)
    below = torch.tensor(-1e9).half()  # infinite
    return short | {"h.0.attn.bias": mask, "h.1.attn.masked_bias": below}


def old_bert(tensors: Tensors) -> Tensors:
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    return old | {"bert.embeddings.position_ids": torch.arange(4)[None]}


def bare_bert(tensors: Tensors) -> Tensors:
    return {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}


def old_pythia(tensors: Tensors) -> Tensors:
    lead = "gpt_neox.layers.0.attention"
    return dict(tensors) | {
        f"{lead}.bias": torch.ones(4, 4).tril().view(1, 1, 4, 4).bool(),
        f"{lead}.masked_bias": torch.tensor(-1e9).half(),
        f"{lead}.rotary_emb.inv_freq": torch.ones(2),
    }


def old_llama(tensors: Tensors) -> Tensors:
    return dict(tensors) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}


OLD = {
    "GPT2LMHeadModel": published_gpt2,
    "BertForSequenceClassification": old_bert,
    "BertForTokenClassification": bare_bert,
    "GPTNeoXForCausalLM": old_pythia,
    "LlamaForCausalLM": old_llama,
}


@pytest.mark.parametrize("kind", OLD)
def test_an_old_and_a_new_sibling(kind: str, tmp_path: Path) -> None:
    new = saved(tmp_path / "new", kind)
    old = changed(new, tmp_path / "old", OLD[kind])
    assert (
        load_file(old / "model.safetensors").keys() != load_file(new / "model.safetensors").keys()
    )
    loaded = getattr(transformers, kind).from_pretrained(old).state_dict()
    assert read_inventory(old).tensors.keys() == read_inventory(new).tensors.keys()
    for pair in ((old, new), (new, old)):
        assert check_compatibility(linear(*pair), signatures(), origin="r") == []
    read = dict(MergedWeights(Source(model=str(old))).tensors())
    was = load_file(new / "model.safetensors")
    assert read.keys() == was.keys()
    assert all(torch.equal(read[name], was[name]) for name in was)
    assert all(torch.equal(loaded[name], was[name]) for name in was if name in loaded)


def test_prefixes_are_those_of_transformers() -> None:
    for family, prefix in PREFIXES.items():
        config = transformers.AutoConfig.for_model(family)
        assert transformers.MODEL_MAPPING[type(config)].base_model_prefix == prefix


def test_a_bias_that_is_no_mask_and_a_body_alone_stay(tmp_path: Path) -> None:
    new = saved(tmp_path / "new", "BertModel")
    bias = {"encoder.layer.0.attention.bias": torch.ones(8)}
    names = load_file(new / "model.safetensors").keys()
    folder = changed(new, tmp_path / "old", lambda tensors: dict(tensors) | bias)
    assert read_inventory(folder).tensors.keys() == names | bias.keys()


def test_two_tensors_of_one_name(tmp_path: Path) -> None:
    new = saved(tmp_path / "new", "BertForSequenceClassification")
    name = "bert.embeddings.LayerNorm.weight"
    twice = changed(
        new, tmp_path / "old", lambda t: dict(t) | {name.replace("weight", "gamma"): t[name]}
    )
    with pytest.raises(SourceError, match=f"are both '{name}' to transformers"):
        read_inventory(twice)


def test_the_same_weights_once_more_under_another_name_of_file(tmp_path: Path) -> None:
    folder = saved(tmp_path / "new", "LlamaForCausalLM")
    before = read_inventory(folder).tensors
    (folder / "consolidated.safetensors").write_bytes(b"not even safetensors")
    assert read_inventory(folder).tensors == before


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    return saved(tmp_path / "tied", "Qwen2ForCausalLM", tie_word_embeddings=True)


def with_head(folder: Path, out: Path, moved: float) -> Path:
    return changed(
        folder,
        out,
        lambda t: dict(t) | {"lm_head.weight": t["model.embed_tokens.weight"] + moved},
    )


def test_a_tied_head_that_is_stored_is_the_embedding(tied: Path, tmp_path: Path) -> None:
    stored = with_head(tied, tmp_path / "stored", 0.0)
    for pair in ((tied, stored), (stored, tied), (stored, stored)):
        recipe = linear(*pair)
        assert check_compatibility(recipe, signatures(), origin="r") == []
        assert "lm_head.weight" not in dict(MergedWeights(recipe).tensors())


def test_an_untied_fine_tune_of_a_tied_base(tied: Path, tmp_path: Path) -> None:
    untied = with_head(tied, tmp_path / "untied", 0.5)
    for pair in ((tied, untied), (untied, tied)):
        with pytest.raises(SourceError) as refused:
            check_compatibility(linear(*pair), signatures(), origin="r")
        assert f"the head of {tied} is its embedding" in str(refused.value)
        assert f"and {untied} has one of its own; write `tie: untie` beside" in str(refused.value)
    assert "lm_head.weight" in dict(MergedWeights(linear(untied, untied)).tensors())


def reconfigured(folder: Path, out: Path, *without: str, **other: object) -> Path:
    changed(folder, out, lambda tensors: tensors)
    config = json.loads((out / "config.json").read_text()) | other
    text = json.dumps({key: value for key, value in config.items() if key not in without})
    (out / "config.json").write_text(text)
    return out


@pytest.mark.parametrize(
    "key", ["num_key_value_heads", "tie_word_embeddings", "intermediate_size", "num_hidden_layers"]
)
def test_a_key_that_is_left_out_is_its_default(tied: Path, tmp_path: Path, key: str) -> None:
    short = reconfigured(tied, tmp_path / "short", key)
    for pair in ((tied, short), (short, tied)):
        assert check_compatibility(linear(*pair), signatures(), origin="r") == []


@pytest.mark.process
@pytest.mark.slow
def test_a_key_that_no_tensor_shows_is_its_default_too(tied: Path, tmp_path: Path) -> None:
    """The default is what transformers takes: 32 heads of attention in a Qwen2."""
    short = reconfigured(tied, tmp_path / "short", "num_attention_heads", head_dim=4)
    with pytest.raises(SourceError, match=r"differ in num_attention_heads: .* has 2, .* has 32"):
        check_compatibility(linear(tied, short), signatures(), origin="r")
    usual = saved(tmp_path / "usual", "Qwen2ForCausalLM", hidden_size=32, num_attention_heads=32)
    short = reconfigured(usual, tmp_path / "usual-short", "num_attention_heads")
    for pair in ((usual, short), (short, usual)):
        assert check_compatibility(linear(*pair), signatures(), origin="r") == []


def test_an_index_that_lies_beside_a_whole_file(tied: Path, tmp_path: Path) -> None:
    """Left by somebody who joined the shards: transformers takes the file."""
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    before = read_inventory(tied).tensors
    (tied / "model.safetensors.index.json").write_text(json.dumps(index))
    (tied / "pytorch_model.bin").write_bytes(b"another one")
    assert read_inventory(tied).tensors == before
    transformers.AutoModelForCausalLM.from_pretrained(tied)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("transformer.h.0.attn.causal_mask", torch.ones(1, 1, 4, 4).bool()),
        ("model.embeddings.position_ids", torch.arange(4.0)[None]),
        ("model.embeddings.token_type_ids", torch.zeros(1, 4).long()),
        ("transformer.h.0.self_attention.maybe_rotary.inv_freq", torch.ones(2)),
        ("transformer.rotary_pos_emb.inv_freq", torch.ones(2)),
        ("visual.position_ids", None),
        ("model.embeddings.position_embeddings.weight", None),
    ],
)
def test_buffers_of_other_families(
    tied: Path, tmp_path: Path, name: str, tensor: Tensor | None
) -> None:
    """What is computed is left out; what only has a name like it stays."""
    stored = torch.ones(4, 4) if tensor is None else tensor
    folder = changed(tied, tmp_path / "more", lambda tensors: dict(tensors) | {name: stored})
    assert (name in read_inventory(folder).tensors) == (tensor is None)
