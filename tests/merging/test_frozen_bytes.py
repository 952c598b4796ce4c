"""What is written stays as it is: the bytes of small checkpoints of every kind, by SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from evomerge.merging.adapter_checkpoint import write_adapter
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.models.stack_layout import layout_of
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Chromosome, Hop, Merge, Recipe, Rule, Segments, Stack
from tests.families import LAYERS, Family, tiny_tensors, write_model
from tests.families import write_adapter as write_lora

Made = tuple[Recipe, dict[str, Any]]
QUERY = "model.layers.1.self_attn.q_proj"


def rules(**weights: float) -> tuple[Rule, ...]:
    return (Rule(inputs={name: {"weight": weight} for name, weight in weights.items()}),)


def linear(family: Family) -> Made:
    inputs = {"m": family.math, "j": family.json}
    return Merge(method="linear", inputs=inputs, rules=rules(m=1.0, j=2.0)), {}


def ties(family: Family) -> Made:
    first = Rule(
        where=Selector(layers=(0, 2), component="attention"),
        inputs={"m": {"weight": 0.7, "density": 0.4}, "j": {"weight": 0.9, "density": 0.6}},
    )
    last = Rule(inputs={"m": {"weight": 0.5, "density": 0.5}, "j": {"weight": 0.4, "density": 0.3}})
    inputs = {"base": family.base, "m": family.math, "j": family.json}
    recipe = Merge(method="ties", base="base", inputs=inputs, rules=(first, last))
    return recipe, {"dtype": "float32", "shard_bytes": 2000}


def adapters(family: Family) -> Made:
    """Of factors with few digits: no product is rounded, whatever the processor."""
    inputs = {"base": family.base}
    for name, factors in (("one", {QUERY: (family.a, family.b)}), ("two", family.others)):
        exact = {key: ((a * 4).round() / 4, (b * 4).round() / 4) for key, (a, b) in factors.items()}
        folder = write_lora(family.folder / name, exact)
        inputs[name] = Source(model=family.base.model, adapter=str(folder))
    weights = rules(one=0.75, two=-0.5)
    return Merge(method="task_arithmetic", base="base", inputs=inputs, rules=weights), {}


def segments(family: Family) -> Made:
    embedding = Chromosome(
        where=Selector(component="embedding"), ends=(30, 128), coefficients={"m": (0.25, 1.0)}
    )
    size = sum(tensor.numel() for tensor in tiny_tensors(0).values()) - 128
    rest = Chromosome(ends=(700, size), coefficients={"m": (0.5, 0.75), "j": (0.5, 0.25)})
    inputs = {"m": family.math, "j": family.json}
    return Segments(base="m", inputs=inputs, chromosomes=(embedding, rest)), {}


def plain_stack(family: Family) -> Made:
    """Layers of two kinds, of a merge and of a model; a buffer, and code of the donor's own."""
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    for name, seed in (("kinds", 5), ("sliding", 6)):
        tensors = tiny_tensors(seed)
        for layer in range(LAYERS):
            tensors[f"model.layers.{layer}.self_attn.bias"] = torch.arange(4) + seed + layer
        more = {"layer_types": kinds, "auto_map": {"AutoModel": "modeling_own.Own"}}
        folder = write_model(family.folder / name, tensors, **more)
        (folder / "modeling_own.py").write_text("class Own: ...\n")
    one, two = (Source(model=str(family.folder / name)) for name in ("kinds", "sliding"))
    merged = Merge(method="linear", inputs={"a": one, "b": two}, rules=rules(a=3.0, b=1.0))
    hops = [("merged", 2), ("two", 1), ("two", 0), ("merged", 1)]
    return Stack(
        inputs={"merged": merged, "two": two},
        embedding="merged",
        head="two",
        hops=tuple(Hop(of=of, layer=layer) for of, layer in hops),
    ), {"keep_code": True}


def folded_stack(family: Family) -> Made:
    hops = [("m", 0, 0.5), ("j", 1, 1.0), ("m", 0, 1.5), ("j", 2, 0.875)]
    recipe = Stack(
        inputs={"m": family.math, "j": family.json},
        embedding="m",
        head="j",
        hops=tuple(Hop(of=of, layer=layer, scale=scale) for of, layer, scale in hops),
    )
    return recipe, {"layout": layout_of(recipe, folded=False, origin="recipe")}


def union(family: Family) -> Made:
    """Another vocabulary, padded; a configuration whose language model is a part of it."""
    sources = {}
    for name, tokens, seed in (("own", "abcd", 7), ("new", "bcdxy", 8)):
        tensors = tiny_tensors(seed)
        key = "model.embed_tokens.weight"
        tensors[key] = tensors[key][: len(tokens) + 1].clone()
        text = {"num_hidden_layers": LAYERS, "vocab_size": len(tokens) + 1, "bos_token_id": 0}
        folder = write_model(family.folder / name, tensors, bos_token_id=len(tokens))
        config = json.loads((folder / "config.json").read_text())
        del config["num_hidden_layers"], config["vocab_size"]
        (folder / "config.json").write_text(json.dumps(config | {"text_config": text}))
        tokenizer = {
            "model": {"vocab": {token: number for number, token in enumerate(tokens)}},
            "added_tokens": [{"content": f"<{name}>", "id": len(tokens), "special": True}],
        }
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        (folder / "merges.txt").write_text("a b\n")
        sources[name] = Source(model=str(folder))
    choice = TokenizerChoice(source="union", pad_to_multiple_of=4)
    weights = rules(own=0.5, new=0.5)
    recipe = Merge(method="linear", base="own", inputs=sources, rules=weights, tokenizer=choice)
    return recipe, {"dtype": "float16"}


FROZEN: dict[Callable[[Family], Made], str] = {
    linear: "eeece37a3e9f71d0f2a35ebde18fbb27199c9c8247bce6cff3a26b3d328def44",
    ties: "086e1722d6f944f6e01a892250519194a0808f944ce76b77a1e438d6975ab150",
    adapters: "db38f45fb9bf6f32de80ced212b310fad87b09c83d6a687e33a4af87d322e17d",
    segments: "cdc404d09ca8575efd0af6d4fed5525c74d75e4d4a014c3c55ed7d44debe4bf5",
    plain_stack: "62a4d0da2b9eb7b0c2f5573c60ef01bcc50672933ffd1b79074d848c835c9728",
    folded_stack: "2a21d1254d70a3b32a280c1cd44deeff69988e90d5f0f3e69793dd6051390939",
    union: "b94528c66db5772f31cc0375356b7671b24b39b8b31b4486f78187fc62c602af",
}
ADAPTER = "e38853e89710c8db9d8c1ed7dceeb57a6720e28f6399cab604895c97fe012429"
CODE = "modeling_evomerge_stack.py"
"""Written beside a folded stack, and free to change."""


def digest(folder: Path, root: Path) -> str:
    """Of every file's name and bytes, but not of where the models lie."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name != CODE:
            content = path.read_bytes().replace(str(root).encode(), b"ROOT")
            found.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return found.hexdigest()


@pytest.mark.parametrize("make", FROZEN, ids=lambda make: str(make.__name__))
def test_checkpoint(make: Callable[[Family], Made], family: Family, tmp_path: Path) -> None:
    recipe, settings = make(family)
    write_checkpoint(recipe, tmp_path / "out", card="# card", **settings)
    assert digest(tmp_path / "out", tmp_path) == FROZEN[make]


def test_adapter(family: Family, tmp_path: Path) -> None:
    recipe, _ = adapters(family)
    write_adapter(recipe, tmp_path / "out", card="# card")
    assert digest(tmp_path / "out", tmp_path) == ADAPTER
