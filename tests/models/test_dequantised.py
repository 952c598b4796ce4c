"""Copies in bfloat16 of quantised models, made by transformers in a process apart."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.conformance.tiny_models import build
from evomerge.errors import SourceError
from evomerge.merging.dequantising import dequantise
from evomerge.models.dequantised import FOLDER, dequantised
from evomerge.models.fingerprint import fingerprint
from evomerge.models.portable import portable
from evomerge.models.sources import found_folder, model_folder
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from tests.families import tiny_tensors, write_model


@pytest.fixture(autouse=True)
def copies(tmp_path: Path) -> Iterator[Path]:
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(tmp_path / "copies")
    yield tmp_path / "copies"
    if before is None:
        del os.environ[FOLDER]
    else:
        os.environ[FOLDER] = before


def by_block(folder: Path, out: Path) -> Path:
    """The model with its matrices in FP8, one scale for each, as DeepSeek-V3 has them."""
    out.mkdir()
    packed = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        if name.endswith("proj.weight"):
            scale = weight.float().abs().max() / 448  # the largest number of the type
            packed[name] = (weight.float() / scale).to(torch.float8_e4m3fn)
            packed[f"{name}_scale_inv"] = scale.reshape(1, 1)
        else:
            packed[name] = weight
    save_file(packed, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    method = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    config["quantization_config"] = method | {"weight_block_size": [128, 128]}
    (out / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (out / name).write_bytes((folder / name).read_bytes())
    return out


@pytest.mark.process
@pytest.mark.slow
def test_a_model_in_fp8_is_copied_once(tmp_path: Path, copies: Path) -> None:
    plain = build(tmp_path / "plain", seed=0)
    source = Source(model=str(by_block(plain, tmp_path / "fp8")), dequantize=True)
    copy = model_folder(source)
    assert copy.parent == copies
    made, was = load_file(copy / "model.safetensors"), load_file(plain / "model.safetensors")
    assert made.keys() == was.keys()
    for name, tensor in made.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.allclose(tensor.float(), was[name].float(), rtol=0.08, atol=0.001), name
    assert "quantization_config" not in json.loads((copy / "config.json").read_text())
    assert (copy / "tokenizer.json").exists()
    assert not list(copies.glob("*.partial")), "a temporary folder was left"
    (copy / "mine").touch()
    assert (dequantised(found_folder(source)) / "mine").exists(), "it was made again"
    assert fingerprint(source) == fingerprint(Source(model=str(copy)))


def test_a_plain_model_is_taken_as_it_is(tmp_path: Path, copies: Path) -> None:
    folder = write_model(tmp_path / "model", tiny_tensors(0))
    assert model_folder(Source(model=str(folder), dequantize=True)) == folder
    assert not copies.exists()


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    method = {"quant_method": "hqq", "nbits": 4}
    folder = write_model(tmp_path / "model", tiny_tensors(0), quantization_config=method)
    with pytest.raises(SourceError, match=r"model: dequantize: hqq takes hqq, .*pip install hqq"):
        dequantise({"folder": str(folder), "out": str(tmp_path)})


def test_a_recipe_says_it_and_older_ones_keep_their_names() -> None:
    before = Source(model="./a")
    assert digest(Source(model="./a", dequantize=False)) == digest(before)
    assert digest(Source(model="./a", dequantize=True)) != digest(before)
    assert portable(Source(model="owner/name", dequantize=True)) == Source(
        model="owner/name", dequantize=True
    )
