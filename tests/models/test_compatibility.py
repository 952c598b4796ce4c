"""What does not fit is refused from headers alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evomerge.errors import RecipeError, SourceError, UserError
from evomerge.merging.bank import Bank
from evomerge.models.compatibility import check_compatibility
from evomerge.operators import signatures
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack
from tests.families import Family, tiny_tensors, write_adapter, write_model

Q1 = "model.layers.1.self_attn.q_proj.weight"


def pair(one: Recipe, two: Recipe) -> Merge:
    return Merge(method="linear", inputs={"a": one, "b": two})


def said(recipe: Recipe, kind: type[UserError] = SourceError) -> str:
    with pytest.raises(kind) as caught:
        check_compatibility(recipe, signatures(), origin="r.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_siblings_fit(family: Family) -> None:
    assert check_compatibility(pair(family.math, family.lora), signatures(), origin="r") == []


def test_another_vocabulary(family: Family) -> None:
    more = write_model(family.folder / "more", tiny_tensors(1), vocab_size=17)
    assert "differ in vocabulary" in said(pair(family.base, Source(model=str(more))))
    other = write_model(family.folder / "other", tiny_tensors(1))
    tokenizer = {"model": {"vocab": {"x": 0}}}
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    message = said(pair(family.base, Source(model=str(other))))
    assert "differ in vocabulary" in message
    assert "map them by token with tokenizer: {source: base}" in message


def test_vocabularies_that_a_merge_maps(family: Family) -> None:
    tensors = tiny_tensors(1)
    tensors["model.embed_tokens.weight"] = torch.zeros(20, 8)
    more = Source(model=str(write_model(family.folder / "more", tensors, vocab_size=20)))
    inputs: dict[str, Recipe] = {"base": family.base, "m": more}
    union = TokenizerChoice(source="union")
    mapped = Merge(method="linear", base="base", inputs=inputs, tokenizer=union)
    assert check_compatibility(mapped, signatures(), origin="r") == []
    assert (
        check_compatibility(pair(mapped, family.math), signatures(), origin="r") == []
    )  # 16 tokens, the same
    wider = mapped.model_copy(update={"tokenizer": TokenizerChoice(source="m")})
    assert "differ in vocabulary" not in str(check_compatibility(wider, signatures(), origin="r"))
    padded = TokenizerChoice(source="union", pad_to_multiple_of=10)
    odd = mapped.model_copy(update={"tokenizer": padded})
    assert "differ in vocabulary: 20 and 16 rows" in said(pair(odd, family.math))
    row = TokenizerChoice.model_validate({"source": "base", "tokens": {"t": "m"}})
    assert "r.yaml: tokenizer.tokens.t: 'm'" in said(
        mapped.model_copy(update={"tokenizer": row}), RecipeError
    )
    tensors["model.embed_tokens.weight"] = torch.zeros(20, 9)
    wide = Source(model=str(write_model(family.folder / "wide", tensors, vocab_size=20)))
    wrong = mapped.model_copy(update={"inputs": {"base": family.base, "m": wide}})
    assert "model.embed_tokens.weight has shape" in said(wrong)


def test_another_shape_and_a_missing_tensor(family: Family) -> None:
    tensors = tiny_tensors(1)
    tensors[Q1] = torch.zeros(4, 8)
    odd = write_model(family.folder / "odd", tensors)
    assert f"{Q1} has shape [8, 8]" in said(pair(family.base, Source(model=str(odd))))
    del tensors[Q1]
    lacking = write_model(family.folder / "lacking", tensors)
    assert f"has no tensor '{Q1}'" in said(pair(family.base, Source(model=str(lacking))))


def test_another_chat_template_is_a_warning(family: Family) -> None:
    (Path(family.math.model) / "tokenizer_config.json").write_text('{"chat_template": "other"}')
    (warning,) = check_compatibility(pair(family.base, family.math), signatures(), origin="r")
    assert "another chat template" in warning


def test_layers_out_of_range(family: Family) -> None:
    rules = (Rule(where=Selector(layers=(0, 9))), Rule())
    recipe = Merge(method="linear", inputs={"a": family.base}, rules=rules)
    assert "[0, 9] goes beyond the model's 3 layers" in said(recipe, RecipeError)
    stack = Stack(inputs={"a": family.base}, embedding="a", head="a", hops=(Hop(of="a", layer=3),))
    assert "hops.0: layer 3 of 'a', which has 3 (0 to 2)" in said(stack, RecipeError)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def _nothing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_pickle, "is a pickle checkpoint"),
        (_truncated, "truncated"),
        (_nothing, "neither"),
        (_no_config, "config.json: no such file"),
    ],
)
def test_damaged_folders(family: Family, damage: Callable[[Path], None], what: str) -> None:
    damage(Path(family.math.model))
    assert what in said(pair(family.base, family.math))


def test_a_missing_folder() -> None:
    assert said(Source(model="/nowhere/at/all")) == "/nowhere/at/all: no such model folder"


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"peft_type": "IA3"}, "only LORA"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
    ],
)
def test_adapters_that_change_more_than_a_product(
    family: Family, config: dict[str, object], what: str
) -> None:
    factors = {"model.layers.1.self_attn.q_proj": (family.a, family.b)}
    folder = write_adapter(family.folder / "odd", factors, **config)
    with pytest.raises(SourceError, match=what):
        Bank([Source(model=family.base.model, adapter=str(folder))])


def test_adapters_of_another_model(family: Family) -> None:
    factors = {"model.layers.7.self_attn.q_proj": (family.a, family.b)}
    folder = write_adapter(family.folder / "odd", factors)
    with pytest.raises(SourceError, match="no such tensor"):
        Bank([Source(model=family.base.model, adapter=str(folder))])


def test_rank_stabilised_scaling(family: Family) -> None:
    factors = {"model.layers.1.self_attn.q_proj": (family.a, family.b)}
    folder = write_adapter(family.folder / "rs", factors, use_rslora=True)
    source = Source(model=family.base.model, adapter=str(folder))
    change = Bank([family.base, source]).vector(source, family.base, Q1)
    assert change is not None
    assert not isinstance(change, torch.Tensor)
    assert change.scale == pytest.approx(4 / 2**0.5)


def test_an_architecture_that_nobody_knows_merges_by_names(tmp_path: Path) -> None:
    """Tensor by tensor, with layers and components as far as the names tell."""
    names = ["stem.weight", "tower.layers.0.attn.q.weight", "tower.layers.1.attn.q.weight"]
    sources = [
        Source(
            model=str(
                write_model(
                    tmp_path / f"{seed}",
                    {name: torch.full((4,), float(seed)) for name in names},
                    model_type="nobodys",
                    architectures=["NobodysModel"],
                    num_hidden_layers=None,
                )
            )
        )
        for seed in (1, 3)
    ]
    recipe = Merge(
        method="linear",
        inputs=dict(zip("ab", sources, strict=True)),
        rules=(
            Rule(where=Selector(layers=(0, 1), component="attention"), inputs={"a": {"weight": 1}}),
            Rule(inputs={"a": {"weight": 0.5}, "b": {"weight": 0.5}}),
        ),
    )
    (sentence,) = check_compatibility(recipe, signatures(), origin="r")
    assert "transformers has no model type 'nobodys'; its tensors are merged by name" in sentence
