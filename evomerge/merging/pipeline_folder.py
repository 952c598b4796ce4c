"""A merged diffusers pipeline as a folder that diffusers loads: each component's weights in a
folder of their own, and the donor's other files beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.shards import plan, write_shards
from evomerge.models.blueprint import Blueprint
from evomerge.models.foreign_code import without_code
from evomerge.models.inventory import Inventory
from evomerge.models.pipeline import CONFIG, PIPELINE, component_of_tensor
from evomerge.models.pipeline_files import code_files, pipeline_files
from evomerge.models.tensor_types import TensorSpec
from evomerge.models.weight_files import stem_of
from evomerge.reading.files import LARGE, read_bytes
from evomerge.reading.json_text import parse_json

__all__ = ["write_pipeline_files", "write_pipeline_weights"]


def write_pipeline_weights(
    made: Blueprint,
    donor: Inventory,
    tensors: Iterator[tuple[str, Tensor]],
    folder: Path,
    shard_bytes: int,
) -> None:
    """Write each component's tensors, as they come, into its folder, which is there already.

    Args:
        tensors: (name with its component, tensor) in the blueprint's order, component by component.

    Raises:
        CandidateError, OSError: as `write_shards`.
    """
    for component, own in groupby(made.tensors, lambda tensor: component_of_tensor(tensor.name)[0]):
        specs = [
            TensorSpec(component_of_tensor(each.name)[1], each.dtype, each.shape) for each in own
        ]
        inner = (
            (component_of_tensor(name)[1], tensor) for name, tensor in islice(tensors, len(specs))
        )
        stem = stem_of(donor.components[component])
        write_shards(plan(specs, shard_bytes, stem), inner, folder / component, stem)
    for name, _ in tensors:
        raise CandidateError(f"the tensor {name!r} is not among those planned")


def write_pipeline_files(
    donor: Inventory, folder: Path, *, dtype: str | None = None, keep_code: bool = False
) -> None:
    """Write `model_index.json`, the components' configurations, and the files without weights.

    Raises:
        SourceError: the donor has a component without a file that is known.
        OSError: as writing does.
    """
    paths = [*pipeline_files(donor), *(code_files(donor) if keep_code else [])]
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        content = read_bytes(donor.folder / path, most=LARGE)
        if path.endswith("config.json") and not keep_code:
            _write(parse_json(content, origin=path, constants=True), folder / path, keep_code)
        else:
            (folder / path).write_bytes(content)
    for component, config in donor.components.items():
        (folder / component).mkdir(exist_ok=True)
        said = dict(config)
        if dtype is not None:  # transformers reads it, diffusers has no such key
            said |= {key: dtype for key in ("dtype", "torch_dtype") if key in said}
        _write(said, folder / component / CONFIG, keep_code)
    _write(donor.config, folder / PIPELINE, keep_code)


def _write(said: Mapping[str, Any], path: Path, keep_code: bool) -> None:
    # Where the donor was loaded from says nothing of this model, and may be a path.
    kept = {key: value for key, value in said.items() if key != "_name_or_path"}
    text = json.dumps(kept if keep_code else without_code(kept), indent=2) + "\n"
    path.write_text(text, encoding="utf-8")
