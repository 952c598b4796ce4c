"""Vocabularies that differ, mapped by mergekit 0.1.5 and by us: the same row for every token."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.io.tasks import LoaderCache
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file
from transformers import AutoTokenizer

from evomerge.errors import ConfigError, RecipeError
from evomerge.interchange.convert import convert
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.recipe.tree import Merge, Recipe
from evomerge.recipe.yaml import parse_recipe, read_recipe
from tests.merging.dialects import EMBEDDING, HEAD, Dialects

pytestmark = pytest.mark.slow
"""mergekit merges each configuration as well."""

PAIR = "models: [{model: a, parameters: {weight: 0.7}}, {model: b, parameters: {weight: 0.4}}]\n"
METHODS = {
    "linear": """models:
  - {model: base, parameters: {weight: 0.5}}
  - {model: a, parameters: {weight: 0.7}}
  - {model: b, parameters: {weight: 0.4}}
merge_method: linear
base_model: base""",
    "task_arithmetic": f"{PAIR}merge_method: task_arithmetic\nbase_model: base",
    "ties": f"{PAIR}merge_method: ties\nbase_model: base".replace("}}", ", density: 0.6}}"),
    "slerp": """models: [{model: base}, {model: a}]
merge_method: slerp
base_model: base
parameters: {t: 0.3}""",
}
CHOICES = {
    "base": "tokenizer_source: base",
    "union": "tokenizer_source: union",
    "named": "tokenizer_source: a",
    # One row of padding: TIES cuts between equal magnitudes wherever mergekit's sort leaves them.
    "padded": "tokenizer: {source: union, pad_to_multiple_of: 5}",
    # No new tokens beside source: base, at which mergekit fails with a KeyError.
    "by-hand": """tokenizer:
  source: union
  tokens:
    a: {source: a, force: true}
    ab: {source: a}
    <end>: {source: {kind: zero}}
    <new>: {source: {kind: model_token, model: a, token: f}}
    <newer>: {source: {kind: model_token, model: base, token_id: 3}}""",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Dialects:
    return Dialects(tmp_path_factory.mktemp("dialects"))


@pytest.fixture
def dialects(models: Dialects) -> Iterator[Dialects]:
    """mergekit takes relative paths from the working directory."""
    with contextlib.chdir(models.folder):
        yield models


def by_mergekit(text: str, out: Path) -> Path:
    LoaderCache().flush_all()  # it knows models by their relative paths
    options = MergeOptions(write_model_card=False, quiet=True)
    run_merge(MergeConfiguration.model_validate(yaml.safe_load(text)), str(out), options)
    return out


def converted(text: str, folder: Path) -> Recipe:
    file = folder / "config.yaml"
    file.write_text(text)
    recipe, _ = convert(file)
    return parse_recipe(yaml.safe_load(recipe), origin="recipe", folder=folder)


def ours(recipe: Recipe, out: Path) -> Path:
    write_checkpoint(recipe, out, card="")
    return out


def check_same(theirs: Path, mine: Path) -> None:
    """Every token's rows, every other tensor, and what a text is cut into."""
    told, say = (AutoTokenizer.from_pretrained(one) for one in (theirs, mine))
    wanted, found = (load_file(one / "model.safetensors") for one in (theirs, mine))
    assert told.get_vocab().keys() == say.get_vocab().keys()
    order = [told.get_vocab()[token] for token, _ in sorted(say.get_vocab().items(), key=_id)]
    for name, tensor in wanted.items():
        if name in (EMBEDDING, HEAD):
            assert tensor.shape == found[name].shape
            tensor = torch.cat([tensor[order], tensor[len(order) :]])
        assert torch.allclose(tensor, found[name], atol=3e-7), name
    sizes = [json.loads((one / "config.json").read_text())["vocab_size"] for one in (theirs, mine)]
    assert sizes[0] == sizes[1]
    text = "abde bcg<tool> de<x> cab fed<end></s>"
    assert told.tokenize(text) == say.tokenize(text)
    assert told.eos_token == say.eos_token


def _id(item: tuple[str, int]) -> int:
    return item[1]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("method", METHODS)
def test_the_same_rows(method: str, choice: str, dialects: Dialects, tmp_path: Path) -> None:
    text = f"{METHODS[method]}\n{CHOICES[choice]}\ndtype: float32\n"
    theirs = by_mergekit(text, tmp_path / "theirs")
    check_same(theirs, ours(converted(text, tmp_path), tmp_path / "mine"))


@pytest.mark.parametrize("choice", CHOICES)
def test_there_and_back(choice: str, dialects: Dialects, tmp_path: Path) -> None:
    recipe = converted(f"{METHODS['ties']}\n{CHOICES[choice]}\n", tmp_path)
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    text, _ = convert(file, dtype="float32")
    theirs = by_mergekit(text, tmp_path / "theirs")
    check_same(theirs, ours(read_recipe(file), tmp_path / "mine"))
    again = converted(text, tmp_path)
    assert isinstance(again, Merge)
    assert isinstance(recipe, Merge)
    assert again.tokenizer == recipe.tokenizer


def test_slices_of_different_layers_are_mapped_to_the_base(
    dialects: Dialects, tmp_path: Path
) -> None:
    text = """slices:
  - sources:
      - {model: base, layer_range: [0, 2]}
      - {model: a, layer_range: [0, 2], parameters: {weight: 0.9}}
  - sources:
      - {model: base, layer_range: [1, 2]}
      - {model: b, layer_range: [1, 2], parameters: {weight: 0.3}}
merge_method: task_arithmetic
base_model: base
tokenizer_source: base
dtype: float32
"""
    theirs = by_mergekit(text, tmp_path / "theirs")
    check_same(theirs, ours(converted(text, tmp_path), tmp_path / "mine"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{METHODS['ties']}\ntokenizer_source: union\ntokenizer: {{}}", "exactly one of"),
        (f"{METHODS['ties']}\ntokenizer: union", "tokenizer: expected a mapping"),
        (f"{METHODS['ties']}\ntokenizer_source: twin", "'twin' is not an input"),
        (
            f"{METHODS['ties']}\ntokenizer: {{tokens: {{a: {{force: true}}}}}}",
            "tokenizer.tokens.a: the key source is missing",
        ),
        (
            "models: [{model: a}, {model: b}]\nmerge_method: karcher\ntokenizer_source: union",
            "karcher with a tokenizer",
        ),
        (
            (
                "slices: [{sources: [{model: a, layer_range: [0, 1]}]}]\n"
                "merge_method: passthrough\ntokenizer_source: union"
            ),
            "passthrough with a tokenizer",
        ),
        (
            (
                "slices: [{sources: [{model: a, layer_range: [1, 2], parameters: {weight: 1}}]}]\n"
                "merge_method: linear\nbase_model: a\ntokenizer_source: union"
            ),
            "slices of different layers with a tokenizer",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(
    text: str, said: str, dialects: Dialects, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        converted(text, tmp_path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))


def test_without_a_base_mergekit_is_told_nothing(dialects: Dialects) -> None:
    recipe = {
        "kind": "merge",
        "method": "linear",
        "inputs": {name: {"model": name} for name in ("a", "b")},
        "rules": [{"where": {}, "a": {"weight": 1.0}, "b": {"weight": 1.0}}],
        "tokenizer": "union",
    }
    file = dialects.folder / "refused.yaml"
    file.write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError, match="needs a base that it merges"):
        convert(file)
