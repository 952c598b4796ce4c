"""Pipelines' folders: what is read, and what is refused before anything else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from evomerge.errors import SourceError
from evomerge.models.inventory import read_inventory
from tests.pipelines import (
    UNET,
    VAE,
    clip_shapes,
    drawn,
    unet_shapes,
    vae_shapes,
    write_component,
    write_pipeline,
)

PARTS = ("text_encoder", "unet", "vae")
PLAIN = "diffusion_pytorch_model.safetensors"


def indexed(folder: Path, **components: object) -> None:
    """Change `model_index.json`."""
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | components))


def as_variant(folder: Path) -> None:
    """Only weights in half precision, as a repository's variant has them."""
    for name in ("unet", "vae"):
        (folder / name / PLAIN).rename(folder / name / "diffusion_pytorch_model.fp16.safetensors")
    encoder = folder / "text_encoder"
    (encoder / "model.safetensors").rename(encoder / "model.fp16.safetensors")


def sharded(folder: Path, index: str = f"{PLAIN}.index.json") -> None:
    """The U-Net's weights in two files."""
    tensors = load_file(folder / "unet" / PLAIN)
    (folder / "unet" / PLAIN).unlink()
    names = sorted(tensors)
    files = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(names)}
    for file in set(files.values()):
        own = {name: tensors[name] for name in names if files[name] == file}
        save_file(own, folder / "unet" / file)
    (folder / "unet" / index).write_text(json.dumps({"weight_map": files}))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: None,
        as_variant,
        sharded,
        lambda folder: sharded(folder, f"{PLAIN}.index.fp16.json"),
    ],
    ids=["plain", "variant", "sharded", "sharded variant"],
)
def test_all_components_are_read_as_one_model(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = write_pipeline(tmp_path / "a", 0)
    change(folder)
    inventory = read_inventory(folder)
    parts = {"text_encoder": clip_shapes(), "unet": unet_shapes(), "vae": vae_shapes()}
    shapes = {f"{part}/{name}": shape for part, own in parts.items() for name, shape in own.items()}
    assert {name: info.shape for name, info in inventory.tensors.items()} == shapes
    assert sorted(inventory.components) == sorted(parts)
    assert inventory.of_diffusers
    assert inventory.layers == 0


def test_a_component_alone_is_a_model(tmp_path: Path) -> None:
    inventory = read_inventory(write_component(tmp_path / "unet", drawn(unet_shapes(), 0), UNET))
    assert inventory.tensors.keys() == unet_shapes().keys()
    assert (inventory.layers, inventory.of_diffusers) == (5, True)


def test_attention_of_older_vaes_has_its_name_of_today(tmp_path: Path) -> None:
    called = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = drawn(vae_shapes(), 0)
    for new, old in called.items():
        for name in [name for name in tensors if f"attentions.0.{new}." in name]:
            tensors[name.replace(new, old)] = tensors.pop(name)
    inventory = read_inventory(write_component(tmp_path / "vae", tensors, VAE))
    assert inventory.tensors.keys() == vae_shapes().keys()


def test_a_component_that_is_left_out_is_not_read(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "a", 0)
    shutil.rmtree(folder / "vae")
    indexed(folder, vae=[None, None])
    assert "vae" not in read_inventory(folder).components


def _linked(folder: Path) -> None:
    (folder / "vae").rename(folder.parent / "elsewhere")
    (folder / "vae").symlink_to(folder.parent / "elsewhere")


def _two_variants(folder: Path) -> None:
    as_variant(folder)
    other = folder / "vae" / "diffusion_pytorch_model.non_ema.safetensors"
    shutil.copy(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors", other)


def _pickled(folder: Path) -> None:
    (folder / "vae" / PLAIN).rename(folder / "vae" / "diffusion_pytorch_model.bin")


def _file_for_folder(folder: Path) -> None:
    shutil.rmtree(folder / "vae")
    (folder / "vae").touch()


def _outside(folder: Path) -> None:
    names = dict.fromkeys(unet_shapes(), "../../vae/" + PLAIN)
    sharded(folder)
    (folder / "unet" / f"{PLAIN}.index.json").write_text(json.dumps({"weight_map": names}))


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (lambda own: shutil.rmtree(own / "vae"), "names the component 'vae', which is not there"),
        (_file_for_folder, "names the component 'vae', which is no folder"),
        (lambda own: indexed(own, **{"../b/vae": ["diffusers", "X"]}), "letters, digits and _"),
        (lambda own: indexed(own, **{"..": ["diffusers", "X"]}), "letters, digits and _ alone"),
        (lambda own: indexed(own, **{"/etc": ["diffusers", "X"]}), "letters, digits and _ alone"),
        (_linked, "vae: a component's folder must be no link"),
        (_outside, "must be one beside the index, without a path"),
        (_pickled, "is a pickle checkpoint"),
        (_two_variants, "the variants fp16, non_ema are there"),
        (lambda own: (own / "unet" / "config.json").unlink(), "config.json: no such file"),
        (lambda own: (own / "unet" / PLAIN).unlink(), f"unet: neither {PLAIN} nor"),
        (lambda own: (own / "model_index.json").write_text("{}"), "_class_name: must be the name"),
        (lambda own: indexed(own, _class_name="X; import os"), "_class_name: must be the name of"),
        (lambda own: indexed(own, _class_name=["own", "Own"]), "_class_name: must be the name of"),
        (lambda own: indexed(own, **{part: [None] * 2 for part in PARTS}), "no component"),
        (lambda own: (own / "model_index.json").write_text("[]"), "expected a mapping"),
    ],
)
def test_what_is_refused(tmp_path: Path, change: Callable[[Path], object], law: str) -> None:
    folder = write_pipeline(tmp_path / "a", 0)
    change(folder)
    with pytest.raises(SourceError) as heard:
        read_inventory(folder)
    assert law in str(heard.value)
    assert "\n" not in str(heard.value)
