"""Which files of a folder hold a model's weights: safetensors alone, under the names that
transformers and diffusers give them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.reading.files import is_there
from evomerge.reading.json_text import read_object

__all__ = ["WeightFiles", "has_weights", "is_of_diffusers", "stem_of", "weight_files"]

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_LONGEST = 100
"""Letters of a class's name, at most."""
_TRANSFORMERS, _DIFFUSERS = "model", "diffusion_pytorch_model"


@dataclass(frozen=True)
class WeightFiles:
    """The files of one model."""

    files: tuple[str, ...]
    """Their names, sorted."""
    listed: Mapping[str, str]
    """The index's tensor name -> file; nothing where there is a single file."""
    index: str | None = None
    """The index's name."""


def is_of_diffusers(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of a diffusers pipeline, or of a model that is a part of
    one: those name one class (`_class_name`), where transformers lists `architectures`."""
    named = config.get("_class_name")
    return isinstance(named, str) and named.isidentifier() and len(named) <= _LONGEST


def stem_of(config: Mapping[str, Any]) -> str:
    """What the files of a model with this configuration are called, up to `.safetensors`."""
    return _DIFFUSERS if is_of_diffusers(config) else _TRANSFORMERS


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights in any form, read or refused."""
    return any(True for kind in ("*.safetensors", *_PICKLES) for _ in folder.glob(kind))


def weight_files(folder: Path, stem: str = _TRANSFORMERS, *, variants: bool = False) -> WeightFiles:
    """The files of a model's folder: those that an index lists, or a single one. Where both are
    there, transformers takes the single one, and diffusers the index.

    `variants`: where neither is there, the only variant is taken (`model.fp16.safetensors`).

    Raises:
        SourceError: there are none, or several variants, or an index names what is no file beside
            it.
    """
    single, index = f"{stem}.safetensors", f"{stem}.safetensors.index.json"
    if not is_there(folder / index) and not is_there(folder / single) and variants:
        single, index = _variant(folder, stem, single, index)
    alone = stem == _TRANSFORMERS and is_there(folder / single)
    if is_there(folder / index) and not alone:
        listed = _listed(folder / index)
        return WeightFiles(tuple(sorted(set(listed.values()))), listed, index)
    if is_there(folder / single):
        return WeightFiles((single,), {})
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise SourceError(
            f"{folder}: {pickles[0]} is a pickle checkpoint, which can run code when it is loaded;"
            " save the model again as safetensors (save_pretrained does)"
        )
    raise SourceError(f"{folder}: neither {single} nor {index} is there")


def _variant(folder: Path, stem: str, single: str, index: str) -> tuple[str, str]:
    """(file, index) of the only variant; of none as they were."""
    named = rf"{stem}\.(?P<of>[A-Za-z]\w*)\.safetensors"
    listing = rf"{stem}\.safetensors\.index\.(?P<of>[A-Za-z]\w*)\.json"
    variants = {
        match["of"]
        for path in folder.iterdir()
        if (match := re.fullmatch(named, path.name) or re.fullmatch(listing, path.name))
    }
    if len(variants) > 1:
        raise SourceError(
            f"{folder}: the variants {', '.join(sorted(variants))} are there, and no {single}; keep"
            " the one that is meant"
        )
    for of in variants:
        return f"{stem}.{of}.safetensors", f"{stem}.safetensors.index.{of}.json"
    return single, index


def _listed(path: Path) -> dict[str, str]:
    listed = read_object(path).get("weight_map")
    if (
        not isinstance(listed, dict)
        or not listed
        or not all(isinstance(file, str) for file in listed.values())
    ):
        raise SourceError(f"{path}: no key weight_map, from tensor names to files")
    for name, file in listed.items():
        # The name alone: in the hub's cache the file itself is a link.
        is_name = isinstance(file, str) and file.isprintable() and Path(file).name == file
        if not is_name or file in ("", ".", ".."):
            raise SourceError(
                f"{path}: the file of {name!r} must be one beside the index, without a path, got"
                f" {file!r}"
            )
    return listed
