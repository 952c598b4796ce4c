"""What a checkpoint holds, read from headers: no weight and no torch is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.anatomy import Anatomy, anatomy_of
from evomerge.models.pipeline import CONFIG, PIPELINE, read_pipeline
from evomerge.models.sizes import LAYER_COUNTS, check_sizes, language_part
from evomerge.models.stored_tensors import read_and_left_out
from evomerge.models.tensor_types import WIDTHS, TensorInfo
from evomerge.models.tokenizer_files import TOKENIZER, chat_template, vocabulary_of_file
from evomerge.models.weight_files import is_of_diffusers, weight_files
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

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


@dataclass(frozen=True)
class Inventory:
    """A model folder: its configuration, and its tensors by the names that transformers writes."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of a diffusers pipeline: component with weights -> its own configuration."""
    left_out: tuple[str, ...] = ()
    """Names of what its files hold besides: old buffers, a tied head that is the embedding."""

    @property
    def of_diffusers(self) -> bool:
        """Whether it is a pipeline, or one of the models that they consist of."""
        return bool(self.components) or is_of_diffusers(self.config)

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
        if self.of_diffusers:  # no key counts all blocks
            return self.anatomy.layers
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
    """Read the headers of a model folder, or of a diffusers pipeline's.

    Raises:
        SourceError: no such folder, no configuration, a pickle checkpoint, a broken shard, or a
            quantised model; a pipeline without one of its components.
    """
    if not is_folder(folder):
        raise SourceError(f"{folder}: no such model folder")
    if is_there(folder / PIPELINE):
        index, components, tensors = read_pipeline(folder)
        return Inventory(folder, index, tensors, components)
    config = read_object(folder / CONFIG, constants=True)
    diffusers = is_of_diffusers(config)
    tensors, left_out = read_and_left_out(folder, config, variants=diffusers)
    if not diffusers:  # no engine is started by the sizes of those
        shapes = {name: info.shape for name, info in tensors.items()}
        check_sizes(folder / CONFIG, config, shapes)
    return Inventory(folder, config, tensors, left_out=left_out)


def listed_files(folder: Path) -> dict[str, str]:
    """The index's tensor name -> file; nothing where there is a single file, which transformers
    takes before an index that lies beside it.

    Raises:
        SourceError: there is neither, or the index names what is no file beside it.
    """
    return dict(weight_files(folder).listed)
