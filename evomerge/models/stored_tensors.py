"""The tensors of one folder of weights, as transformers or diffusers would load them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.as_found import as_found
from evomerge.models.quantised import check_not_quantised
from evomerge.models.safetensors_header import read_header
from evomerge.models.tensor_types import TensorInfo
from evomerge.models.weight_files import stem_of, weight_files

__all__ = ["read_and_left_out", "stored_tensors"]


def stored_tensors(
    folder: Path, config: Mapping[str, Any], *, variants: bool = False
) -> dict[str, TensorInfo]:
    """Name of today -> the tensor; as `read_and_left_out`."""
    return read_and_left_out(folder, config, variants=variants)[0]


def read_and_left_out(
    folder: Path, config: Mapping[str, Any], *, variants: bool = False
) -> tuple[dict[str, TensorInfo], tuple[str, ...]]:
    """(name of today -> the tensor, names of what is there besides), read from headers.

    Args:
        config: the folder's own.
        variants: take `model.fp16.safetensors` where there is no `model.safetensors`.

    Raises:
        SourceError: there are no weights, or pickles alone; a broken shard; a quantised model.
    """
    own = weight_files(folder, stem_of(config), variants=variants)
    tensors: dict[str, TensorInfo] = {}
    for file in own.files:
        for name, info in read_header(folder / file).items():
            tensors[name] = TensorInfo(file, info["dtype"], tuple(info["shape"]))
    for name, file in own.listed.items():
        if name not in tensors:
            raise SourceError(f"{folder / str(own.index)}: the tensor {name!r} is not in {file}")
    check_not_quantised(folder, config, tensors)
    known = as_found(folder, config, tensors)
    read = {info.stored or name for name, info in known.items()}
    return known, tuple(sorted(tensors.keys() - read))
