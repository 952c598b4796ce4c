"""Parents that differ in whether their head is their embedding: one sentence, and `tie`."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from evomerge.errors import SourceError
from evomerge.merging.bank import open_bank
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.models.compatibility import check_compatibility
from evomerge.models.dequantised import FOLDER
from evomerge.models.portable import portable
from evomerge.models.sources import model_folder
from evomerge.operators import signatures
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule

pytestmark = [pytest.mark.process, pytest.mark.slow]

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TOKENS = torch.arange(12)[None]


@pytest.fixture(autouse=True)
def _copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(tmp_path_factory.mktemp("copies"))
    yield
    if before is None:
        del os.environ[FOLDER]
    else:
        os.environ[FOLDER] = before


def model(folder: Path, seed: int, *, tied: bool, shards: str = "1GB") -> Path:
    config = transformers.Qwen2Config(
        vocab_size=24,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
    )
    torch.manual_seed(seed)
    made = transformers.Qwen2ForCausalLM(config)
    made.save_pretrained(folder, max_shard_size=shards)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("models")
    tied = model(place / "tied", 0, tied=True)
    return tied, model(place / "untied", 1, tied=False, shards="3KB")


@torch.no_grad()
def logits(folder: Path) -> torch.Tensor:
    own = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    scores: torch.Tensor = own(TOKENS).logits
    return scores


def weights(folder: Path) -> dict[str, torch.Tensor]:
    made: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        made |= load_file(file)
    return made


def averaged(first: Source, second: Source) -> Recipe:
    half = Rule(inputs={"first": {"weight": 0.5}, "second": {"weight": 0.5}})
    return Merge(method="linear", inputs={"first": first, "second": second}, rules=(half,))


def written(recipe: Recipe, out: Path) -> Path:
    check_compatibility(recipe, signatures(), origin="r.yaml")
    write_checkpoint(recipe, out, card="")
    return out


@torch.no_grad()
def by_hand(tensors: dict[str, torch.Tensor], *, tied: bool) -> torch.Tensor:
    config = transformers.Qwen2Config.from_dict(CONFIG | {"tie_word_embeddings": tied})
    own = transformers.Qwen2ForCausalLM(config).eval()
    own.load_state_dict(tensors | {HEAD: tensors[EMBEDDING if tied else HEAD]})
    scores: torch.Tensor = own(TOKENS).logits
    return scores


CONFIG: dict[str, Any] = {
    "vocab_size": 24,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def mean(first: Path, second: Path) -> dict[str, torch.Tensor]:
    """Of every tensor that one has; a tied head is its embedding."""
    one, two = weights(first), weights(second)
    names = one.keys() | two.keys()
    return {
        name: (one.get(name, one[EMBEDDING]) + two.get(name, two[EMBEDDING])) / 2 for name in names
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_said(folders: tuple[Path, Path], order: tuple[int, int]) -> None:
    recipe = averaged(*(Source(model=str(folders[number])) for number in order))
    with pytest.raises(SourceError) as refused:
        check_compatibility(recipe, signatures(), origin="r.yaml")
    tied, untied = folders
    assert str(refused.value) == (
        f"r.yaml: the head of {tied} is its embedding (tie_word_embeddings), and {untied} has one"
        " of its own; write `tie: untie` beside each model of the first kind, and the result has"
        " a head of its own, or `tie: keep` beside each of the second, whose heads are then left"
        " out"
    )


def test_untied(folders: tuple[Path, Path], tmp_path: Path) -> None:
    tied, untied = folders
    recipe = averaged(Source(model=str(tied), tie="untie"), Source(model=str(untied)))
    out = written(recipe, tmp_path / "out")
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is False
    assert HEAD in weights(out)
    assert logits(out).allclose(by_hand(mean(tied, untied), tied=False), atol=1e-5)


def test_kept(folders: tuple[Path, Path], tmp_path: Path) -> None:
    tied, untied = folders
    recipe = averaged(Source(model=str(tied)), Source(model=str(untied), tie="keep"))
    told = check_compatibility(recipe, signatures(), origin="r.yaml")
    lost = f"{untied}: tie: keep leaves out {HEAD}, which differs from its embedding: what was"
    assert told == [f"{lost} trained in the head is lost, and the output follows the embedding"]
    out = written(recipe, tmp_path / "out")
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is True
    assert HEAD not in weights(out)
    assert logits(out).allclose(by_hand(mean(tied, untied), tied=True), atol=1e-5)


def test_the_copies_are_models(folders: tuple[Path, Path]) -> None:
    """A live engine starts with them: shards are links, but for the one that changes."""
    tied, untied = folders
    untie = model_folder(Source(model=str(tied), tie="untie"))
    assert logits(untie).equal(logits(tied))
    assert weights(untie)[HEAD].equal(weights(tied)[EMBEDDING])
    keep = model_folder(Source(model=str(untied), tie="keep"))
    own = {name: tensor for name, tensor in weights(untied).items() if name != HEAD}
    assert weights(keep).keys() == own.keys()
    assert logits(keep).equal(by_hand(own, tied=True))
    files = list(keep.glob("*.safetensors"))
    assert [file.is_symlink() for file in files].count(False) <= 1
    assert len(files) > 2


def test_what_is_so_already_is_no_copy(folders: tuple[Path, Path]) -> None:
    tied, untied = folders
    assert model_folder(Source(model=str(tied), tie="keep")) == tied
    assert model_folder(Source(model=str(untied), tie="untie")) == untied


def test_an_adapter_on_one_end(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """The model that was trained, which peft's own merge is not: it changes both ends."""
    tied, _ = folders
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = transformers.AutoModelForCausalLM.from_pretrained(tied, dtype=torch.float32)
        settings = LoraConfig(r=2, target_modules=["lm_head"], init_lora_weights=False)
        tuned = get_peft_model(own, settings).eval()
        tuned.save_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        truth = tuned(TOKENS).logits
    adapter = str(tmp_path / "adapter")
    out = written(Source(model=str(tied), adapter=adapter, tie="untie"), tmp_path / "out")
    assert logits(out).allclose(truth, atol=1e-5)
    assert not logits(tied).allclose(truth, atol=1e-2)


def test_a_model_that_has_no_such_head(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=24,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(SourceError, match="tie: untie: the model has no head that is its embed"):
        model_folder(Source(model=str(tmp_path / "bert"), tie="untie"))


def test_a_model_whose_head_is_always_tied(tmp_path: Path) -> None:
    config = transformers.T5Config(
        vocab_size=24, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    with pytest.raises(SourceError, match=r"tie: untie: .*(changes scale_decoder_outputs|always)"):
        model_folder(Source(model=str(tmp_path / "t5"), tie="untie"))


def test_it_travels_with_a_recipe(folders: tuple[Path, Path]) -> None:
    source = Source(model=str(folders[0]), tie="untie")
    bank = open_bank((source,))
    assert HEAD in bank.inventory(source).tensors
    named = portable(source)
    assert isinstance(named, Source)
    assert named.tie == "untie"
    assert digest(source) != digest(Source(model=str(folders[0])))
