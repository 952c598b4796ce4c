"""Rows moved by token, as methods see them and as a written model has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from evomerge.merging.alignment import AlignedBank, Alignment, alignment_of
from evomerge.merging.bank import Bank
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.merging.weights import merged as merged_by
from evomerge.models.blueprint import blueprint
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack, sources_of
from tests.families import write_adapter
from tests.merging.dialects import EMBEDDING, HEAD, Dialects, tokenizer

Q0 = "model.layers.0.self_attn.q_proj.weight"
UNION = [*"abcdeĠ", "ab", "Ġc", "<s>", "</s>", "<pad>"]
UNION += ["f", "de", "Ġd", "g", "bc", "<tool>", "<end>", "<x>"]


@pytest.fixture(scope="module")
def dialects(tmp_path_factory: pytest.TempPathFactory) -> Dialects:
    return Dialects(tmp_path_factory.mktemp("dialects"))


def merge(
    dialects: Dialects,
    method: str,
    choice: Any,
    inputs: dict[str, Recipe] | None = None,
    **weights: Any,
) -> Merge:
    found = inputs or {name: dialects.source(name) for name in ("base", "a", "b")}
    each = {
        name: one if isinstance(one, dict) else {"weight": one} for name, one in weights.items()
    }
    tokenizer = None if choice is None else TokenizerChoice.model_validate(choice)
    rules = (Rule(inputs=each),)
    return Merge(method=method, base="base", inputs=found, rules=rules, tokenizer=tokenizer)


def merged(recipe: Recipe) -> dict[str, Tensor]:
    return dict(MergedWeights(recipe).tensors())


@pytest.mark.parametrize("tensor", [EMBEDDING, HEAD])
def test_every_row_is_that_of_its_token(dialects: Dialects, tensor: str) -> None:
    """A merge that is one input alone shows what the method was given of it."""
    found = merged(merge(dialects, "linear", "union", base=0.0, a=1.0, b=0.0))[tensor]
    assert len(found) == len(UNION)
    of = {name: dialects.ids(name) for name in ("base", "a", "b")}
    for id, token in enumerate(UNION):
        giver = "a" if token in of["a"] else "base" if token in of["base"] else "b"
        assert torch.equal(found[id], dialects.row(giver, token, tensor)), token


def test_tokens_that_several_have_are_averaged_for_the_base(dialects: Dialects) -> None:
    found = merged(merge(dialects, "linear", "union", base=1.0, a=0.0, b=0.0))[EMBEDDING]
    for token in ("de", "<tool>"):
        mean = (dialects.row("a", token) + dialects.row("b", token)) / 2
        assert torch.equal(found[UNION.index(token)], mean)
    assert torch.equal(found[UNION.index("g")], dialects.row("b", "g"))


def test_padding_is_the_mean_of_the_rows(dialects: Dialects) -> None:
    choice = {"source": "a", "pad_to_multiple_of": 8}
    found = merged(merge(dialects, "linear", choice, base=0.0, a=1.0, b=0.0))[EMBEDDING]
    tokens = len(dialects.ids("a"))
    assert tokens == 14
    assert len(found) == 16
    for row in found[tokens:]:
        assert torch.allclose(row, found[:tokens].mean(dim=0), atol=1e-7)


def test_other_tensors_are_as_without(dialects: Dialects) -> None:
    mapped = merged(merge(dialects, "task_arithmetic", "union", a=0.5, b=0.3))
    pair = {name: load_file(dialects.folder / name / "model.safetensors")[Q0] for name in "ab"}
    base = load_file(dialects.folder / "base" / "model.safetensors")[Q0]
    expected = base + 0.5 * (pair["a"] - base) + 0.3 * (pair["b"] - base)
    assert torch.allclose(mapped[Q0], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["task_arithmetic", "ties"])
def test_equal_vocabularies_are_left_alone_bit_for_bit(dialects: Dialects, method: str) -> None:
    inputs: dict[str, Recipe] = {name: dialects.source(name) for name in ("base", "twin")}
    own = {"weight": 0.7} | ({"density": 0.5} if method == "ties" else {})
    plain = merged(merge(dialects, method, None, inputs, twin=own))
    for choice in ("base", "union", "twin"):
        mapped = merged(merge(dialects, method, choice, inputs, twin=own))
        assert all(torch.equal(plain[name], mapped[name]) for name in plain), choice


def test_statistics_are_those_of_the_aligned_rows(dialects: Dialects) -> None:
    """TIES cuts at the k-th largest of the matrices that it sees, whatever came before."""
    inputs: dict[str, Recipe] = {name: dialects.source(name) for name in ("base", "a")}
    own = {"weight": 1.0, "density": 0.3}
    bank_first = [merged(merge(dialects, "ties", c, inputs, a=own)) for c in ("base", "union", "a")]
    for choice, found in zip(("base", "union", "a"), bank_first, strict=True):
        recipe = merge(dialects, "ties", choice, inputs, a=own)
        fresh = Bank(sources_of(recipe))
        aligned = AlignedBank(fresh, alignment_of(recipe, fresh), recipe, {})
        base = aligned.tensor(dialects.source("base"), HEAD)
        change = aligned.tensor(dialects.source("a"), HEAD) - base
        k = int(0.3 * change.numel() + 1e-6)
        cut = change.abs().flatten().sort(descending=True).values[k - 1]
        expected = base + torch.where(change.abs() >= cut, change, 0.0)
        assert torch.allclose(found[HEAD], expected, atol=1e-6), choice


def test_rows_are_ones_own_or_shared_ones_and_padding_is_their_mean() -> None:
    own = {"a": torch.tensor([2, -1, 0, 1, -1]), "b": torch.tensor([0, 1, -1, 2, 3])}
    shared = {1: [("b", 1)], 2: [("a", 0)], 4: []}
    alignment = Alignment("key", 8, own, shared)
    matrices = {"a": torch.arange(6.0).view(3, 2), "b": torch.arange(10.0, 20.0).view(5, 2)}
    rows = alignment.shared_rows({name: one.__getitem__ for name, one in matrices.items()})
    assert rows.tolist() == [[12.0, 13.0], [0.0, 1.0], [0.0, 0.0]]
    found = alignment.rows("a", matrices["a"].__getitem__, rows)
    tokens = torch.tensor([[4.0, 5.0], [12.0, 13.0], [0.0, 1.0], [2.0, 3.0], [0.0, 0.0]])
    assert torch.equal(found, torch.cat([tokens, tokens.mean(dim=0).expand(3, 2)]))


def test_statistics_of_aligned_rows_are_not_those_of_other_rows(dialects: Dialects) -> None:
    """On disk, where they would be named by what is in the files."""

    def found(choice: str, worth: int = 1) -> dict[str, Tensor]:
        recipe = merge(dialects, "tsvm", choice, a=1.0, b=1.0)
        recipe = recipe.model_copy(update={"options": {"embeddings": True, "keep": 0.1}})
        bank = Bank(dict.fromkeys(sources_of(recipe)), worth=worth)
        return dict(merged_by(blueprint(recipe, bank).stored_as("float32"), bank))

    found("union")  # the same files, other rows
    after, alone = found("base"), found("base", worth=1 << 40)
    assert after.keys() == alone.keys()
    for name, tensor in alone.items():
        assert torch.equal(after[name], tensor), name


def test_an_adapter_on_another_vocabulary_also_on_its_head(dialects: Dialects) -> None:
    draws = torch.Generator().manual_seed(5)
    rows = len(dialects.ids("a")) + Dialects.PADDING
    low, high = torch.randn(2, 16, generator=draws), torch.randn(rows, 2, generator=draws)
    up = torch.randn(16, 2, generator=draws)
    folder = dialects.folder / "lora"
    factors = {"lm_head": (low, high), "model.layers.0.self_attn.q_proj": (low.clone(), up)}
    write_adapter(folder, factors)
    tuned = Source(model=str(dialects.folder / "a"), adapter=str(folder))
    inputs: dict[str, Recipe] = {"base": dialects.source("base"), "t": tuned}
    found = merged(merge(dialects, "task_arithmetic", "base", inputs, t=1.0))
    stored = load_file(dialects.folder / "a" / "model.safetensors")
    head, ids = stored[HEAD] + 2.0 * high @ low, dialects.ids("a")
    for token, id in dialects.ids("base").items():
        expected = head[ids[token]] if token in ids else dialects.row("base", token, HEAD)
        assert torch.allclose(found[HEAD][id], expected, atol=1e-5), token
    assert torch.allclose(found[Q0], stored[Q0] + 2.0 * up @ low, atol=1e-5)
    plain: dict[str, Recipe] = {"base": dialects.source("a"), "t": tuned}
    same = merged(merge(dialects, "task_arithmetic", "base", plain, t=1.0))
    assert torch.allclose(same[HEAD], head[: len(ids)], atol=1e-5)


def test_inputs_that_are_recipes_are_mapped_by_their_own_vocabulary(dialects: Dialects) -> None:
    pair: dict[str, Recipe] = {"base": dialects.source("base"), "a": dialects.source("a")}
    inner = merge(dialects, "linear", "union", pair, base=0.5, a=0.5)
    stack = Stack(
        inputs={"b": dialects.source("b")},
        embedding="b",
        head="b",
        hops=(Hop(of="b", layer=1), Hop(of="b", layer=0)),
    )
    inputs: dict[str, Recipe] = {"base": dialects.source("base"), "i": inner, "s": stack}
    choice = {"source": "i", "pad_to_multiple_of": 5}
    found = merged(merge(dialects, "task_arithmetic", choice, inputs, i=1.0, s=0.0))
    wanted = merged(inner)
    tokens = len(wanted[EMBEDDING])
    assert torch.allclose(found[EMBEDDING][:tokens], wanted[EMBEDDING], atol=1e-6)
    assert len(found[EMBEDDING]) == -(-tokens // 5) * 5
    other = merged(merge(dialects, "linear", "union", inputs, base=0.0, i=0.0, s=1.0))
    assert torch.equal(other[EMBEDDING][0], dialects.row("b", "a"))
    layer = load_file(dialects.folder / "b" / "model.safetensors")
    assert torch.equal(other[Q0], layer[Q0.replace(".0.", ".1.")])


def test_shared_rows_are_those_of_the_candidate_at_hand(dialects: Dialects) -> None:
    pair: dict[str, Recipe] = {"base": dialects.source("base"), "a": dialects.source("a")}
    for scale in (1.0, 2.0):
        inner = merge(dialects, "linear", "union", pair, base=0.0, a=scale)
        inner = inner.model_copy(update={"options": {"normalize": False}})
        inputs: dict[str, Recipe] = {
            "base": dialects.source("base"),
            "a": inner,
            "b": dialects.source("b"),
        }
        choice = {"source": "union", "pad_to_multiple_of": 5}
        found = merged(merge(dialects, "linear", choice, inputs, base=1.0, a=0.0, b=0.0))[EMBEDDING]
        expected = (scale * dialects.row("a", "de") + dialects.row("b", "de")) / 2
        # An added token of the inner union, it comes after b's two ordinary ones and f.
        assert torch.allclose(found[14], expected)
        assert torch.allclose(found[-1], found[: len(UNION)].mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("choice", ["base", "union", "a", "b"])
def test_transformers_loads_what_is_written(
    dialects: Dialects, tmp_path: Path, choice: str
) -> None:
    out = tmp_path / "out"
    write_checkpoint(merge(dialects, "linear", choice, base=0.0, a=1.0, b=0.0), out, card="")
    spoken: Any = AutoTokenizer.from_pretrained(out)
    model: Any = AutoModelForCausalLM.from_pretrained(out)
    assert model.config.vocab_size == len(spoken)
    donor = {"union": "base"}.get(choice, choice)
    like: Any = AutoTokenizer.from_pretrained(dialects.folder / donor)
    assert spoken.chat_template == like.chat_template
    assert spoken.eos_token == like.eos_token
    assert model.config.eos_token_id == spoken.eos_token_id
    assert model.generation_config.eos_token_id == spoken.eos_token_id
    of = dialects.ids("a")
    for token, id in spoken.get_vocab().items():
        if token in of:
            row = dialects.row("a", token)
            assert torch.equal(model.get_input_embeddings().weight[id], row), token
    for text in ("ab cd", "<s>abc<tool> de</s>", "fed"):
        ids = spoken.encode(text, add_special_tokens=False)
        assert max(ids, default=0) < model.config.vocab_size
        if choice != "union":
            assert ids == like.encode(text, add_special_tokens=False)
    assert json.loads((out / "config.json").read_text())["vocab_size"] == len(spoken)


def test_older_forms_of_a_changed_tokenizer_are_left_out(tmp_path: Path) -> None:
    dialects = Dialects(tmp_path / "models")
    for name in ("vocab.json", "tokenizer.model"):
        (dialects.folder / "base" / name).write_text("{}")
    write_checkpoint(
        merge(dialects, "linear", "union", base=1.0, a=1.0, b=1.0), tmp_path / "u", card=""
    )
    write_checkpoint(
        merge(dialects, "linear", "base", base=1.0, a=1.0, b=1.0), tmp_path / "b", card=""
    )
    assert not (tmp_path / "u" / "vocab.json").exists()
    assert (tmp_path / "b" / "vocab.json").exists()
    kept = (dialects.folder / "base" / "tokenizer.json").read_text()
    assert (tmp_path / "b" / "tokenizer.json").read_text() == kept


def test_settings_of_added_tokens_are_kept(tmp_path: Path) -> None:
    dialects = Dialects(tmp_path / "models")
    dialects.write("c", tokenizer("ab", [], "</s>", AddedToken("<y>", rstrip=True)), seed=9)
    inputs: dict[str, Recipe] = {n: dialects.source(n) for n in ("base", "b", "c")}
    write_checkpoint(
        merge(dialects, "linear", "union", inputs, base=1.0, b=1.0, c=1.0), tmp_path / "u", card=""
    )
    added = AutoTokenizer.from_pretrained(tmp_path / "u").added_tokens_decoder.values()
    found = {str(token): token for token in added}
    assert found["<x>"].lstrip
    assert found["<x>"].special
    assert found["<y>"].rstrip
    assert not found["<y>"].special
