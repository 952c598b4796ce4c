"""What a checkpoint holds, read from headers: no weight and no torch is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.anatomy import Anatomy, anatomy_of
from evomerge.models.as_found import as_found
from evomerge.models.quantised import check_not_quantised
from evomerge.models.safetensors_header import read_header
from evomerge.models.sizes import LAYER_COUNTS, check_sizes, language_part
from evomerge.models.tensor_types import WIDTHS, TensorInfo
from evomerge.models.tokenizer_files import TOKENIZER, chat_template, vocabulary_of_file
from evomerge.reading.files import is_folder, is_there
from evomerge.reading.json_text import read_object

__all__ = [
    "CONFIG",
    "INDEX",
    "LAYER_COUNTS",
    "SINGLE",
    "Inventory",
    "TensorInfo",
    "language_part",
    "listed_files",
    "read_inventory",
]

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Inventory:
    """A model folder: its configuration, and its tensors by the names that transformers writes."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]

    @cached_property
    def anatomy(self) -> Anatomy:
        """Its towers, and the place of each tensor."""
        return anatomy_of(sorted(self.tensors))

    @property
    def layers(self) -> int:
        """Layers of the main tower (the decoder, or the only one); 0 where there is none.

        A configuration may count fewer than there are tensors of: the last ones are then for
        something else (predicting several tokens at once), and no layer of the model.
        """
        language = language_part(self.config)
        counts = [int(language[key]) for key in LAYER_COUNTS if language.get(key) is not None]
        several = len(self.anatomy.towers) > 1 and language is self.config
        return counts[0] if counts and not several else self.anatomy.layers

    @property
    def parameters(self) -> int:
        """Number of weights stored."""
        return sum(math.prod(info.shape) for info in self.tensors.values())

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(math.prod(info.shape) * WIDTHS[info.dtype] for info in self.tensors.values())

    @property
    def vocabulary_size(self) -> int | None:
        """Rows of embedding and head, as the configuration has it."""
        size = language_part(self.config).get("vocab_size")
        return None if size is None else int(size)

    @cached_property
    def vocabulary(self) -> str | None:
        """A digest of the tokenizer's token -> id table; None without tokenizer.json."""
        path = self.folder / TOKENIZER
        return vocabulary_of_file(path) if is_there(path) else None

    @cached_property
    def chat_template(self) -> str | None:
        """The chat template, from its own file or from tokenizer_config.json."""
        return chat_template(self.folder)


def read_inventory(folder: Path) -> Inventory:
    """Read the headers of a model folder.

    Raises:
        SourceError: no such folder, no configuration, a pickle checkpoint, a broken shard, or a
            quantised model.
    """
    if not is_folder(folder):
        raise SourceError(f"{folder}: no such model folder")
    config = read_object(folder / CONFIG, constants=True)
    tensors: dict[str, TensorInfo] = {}
    listed = listed_files(folder)
    for file in sorted(set(listed.values())) or [SINGLE]:
        for name, info in read_header(folder / file).items():
            tensors[name] = TensorInfo(file, info["dtype"], tuple(info["shape"]))
    for name, file in listed.items():
        if name not in tensors:
            raise SourceError(f"{folder / INDEX}: the tensor {name!r} is not in {file}")
    check_not_quantised(folder, config, tensors)
    tensors = as_found(folder, config, tensors)
    shapes = {name: info.shape for name, info in tensors.items()}
    check_sizes(folder / CONFIG, config, shapes)
    return Inventory(folder, config, tensors)


def listed_files(folder: Path) -> dict[str, str]:
    """The index's tensor name -> file; nothing where there is a single file.

    Raises:
        SourceError: there is neither, or the index names what is no file beside it.
    """
    if is_there(folder / INDEX):
        listed = read_object(folder / INDEX).get("weight_map")
        if (
            not isinstance(listed, dict)
            or not listed
            or not all(isinstance(file, str) for file in listed.values())
        ):
            raise SourceError(f"{folder / INDEX}: no key weight_map, from tensor names to files")
        for name, file in listed.items():
            # The name alone: in the hub's cache the file itself is a link.
            is_name = isinstance(file, str) and file.isprintable() and Path(file).name == file
            if not is_name or file in ("", ".", ".."):
                raise SourceError(
                    f"{folder / INDEX}: the file of {name!r} must be one beside the index, without"
                    f" a path, got {file!r}"
                )
        return listed
    if is_there(folder / SINGLE):
        return {}
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise SourceError(
            f"{folder}: {pickles[0]} is a pickle checkpoint, which can run code when it is loaded;"
            " save the model again as safetensors (save_pretrained does)"
        )
    raise SourceError(f"{folder}: neither {SINGLE} nor {INDEX} is there")
