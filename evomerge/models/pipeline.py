"""A diffusers pipeline's folder: `model_index.json`, and a folder for each component.

Components that have weights (a U-Net or a transformer, a VAE, text encoders) are read as one model,
whose tensors are called after the component: `unet/conv_in.weight`. The others (tokenizers,
schedulers) are files. diffusers itself is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.faults import describe
from evomerge.models.stored_tensors import stored_tensors
from evomerge.models.tensor_types import TensorInfo
from evomerge.models.weight_files import has_weights, is_of_diffusers
from evomerge.reading.files import is_file, is_folder, is_there
from evomerge.reading.json_text import read_object

__all__ = ["CONFIG", "PIPELINE", "component_names", "component_of_tensor", "read_pipeline"]

CONFIG = "config.json"
PIPELINE = "model_index.json"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")

Components = dict[str, Mapping[str, Any]]
"""Component with weights -> its own configuration."""


def component_of_tensor(name: str) -> tuple[str, str]:
    """(component, the tensor's name in it)."""
    component, _, inner = name.partition("/")
    return component, inner


def read_pipeline(folder: Path) -> tuple[dict[str, Any], Components, dict[str, TensorInfo]]:
    """(`model_index.json`, components with weights, tensor -> where it is) of a pipeline's folder.

    Raises:
        SourceError: a component is missing or no folder of this one, its weights cannot be read, or
            no component has any.
    """
    index = read_object(folder / PIPELINE)
    if not is_of_diffusers(index):
        raise SourceError(
            f"{folder / PIPELINE}: _class_name: must be the name of a class, got"
            f" {describe(index.get('_class_name'))}"
        )
    components: Components = {}
    tensors: dict[str, TensorInfo] = {}
    for name in component_names(folder, index):
        own = folder / name
        if not is_file(own / CONFIG) and not has_weights(own):
            continue
        config = read_object(own / CONFIG, constants=True)
        if not has_weights(own) and not ({"_class_name", "architectures"} & config.keys()):
            continue  # a tokenizer that says which model it belongs to
        components[name] = config
        for inner, info in stored_tensors(own, config, variants=True).items():
            tensors[f"{name}/{inner}"] = replace(
                info, file=f"{name}/{info.file}", stored=info.stored or inner
            )
    if not components:
        raise SourceError(f"{folder / PIPELINE}: names no component with weights")
    return index, components, tensors


def component_names(folder: Path, index: Mapping[str, Any]) -> list[str]:
    """The components that `model_index.json` names and does not leave out, sorted.

    Raises:
        SourceError: one is no plain name, or there is no such folder in the pipeline's.
    """
    named = []
    for name, value in sorted(index.items()):
        if not isinstance(value, list) or name.startswith("_"):
            continue  # a setting of the pipeline
        if value == [None, None]:
            continue  # a component that this pipeline goes without
        if not _NAME.fullmatch(name):
            raise SourceError(
                f"{folder / PIPELINE}: a component's name has letters, digits and _ alone, got"
                f" {describe(name)}"
            )
        own = folder / name
        if own.is_symlink():
            raise SourceError(f"{own}: a component's folder must be no link; put the files there")
        if not is_folder(own):
            there = "is no folder" if is_there(own) else "is not there"
            raise SourceError(f"{folder / PIPELINE}: names the component {name!r}, which {there}")
        named.append(name)
    return named
