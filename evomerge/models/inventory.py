"""What a checkpoint holds, read from headers: no weight and no torch is loaded."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.tensor_types import WIDTHS

__all__ = [
    "INDEX",
    "LAYER_COUNTS",
    "SINGLE",
    "Inventory",
    "TensorInfo",
    "language_part",
    "read_header",
    "read_inventory",
    "vocabulary_digest",
]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "num_layers")
"""The keys that configurations have for the number of layers."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's file, dtype as safetensors spells it (`BF16`), and shape."""

    file: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Inventory:
    """A model folder: its configuration and its tensors by checkpoint name."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]

    @property
    def layers(self) -> int:
        """Number of transformer layers."""
        language = language_part(self.config)
        for key in LAYER_COUNTS:
            if key in language:
                return int(language[key])
        raise SourceError(f"{self.folder}/config.json: no key num_hidden_layers; is it a decoder?")

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
        path = self.folder / "tokenizer.json"
        return _vocabulary(path.read_bytes()) if path.exists() else None

    @cached_property
    def chat_template(self) -> str | None:
        """The chat template, from its own file or from tokenizer_config.json."""
        own = self.folder / "chat_template.jinja"
        if own.exists():
            return own.read_text(encoding="utf-8")
        config = self.folder / "tokenizer_config.json"
        if not config.exists():
            return None
        template = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
        return template if isinstance(template, str) else None


def language_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a configuration says of the language model: its `text_config`, or all of it."""
    part: Mapping[str, Any] = config.get("text_config", config)
    return part


def vocabulary_digest(tokenizer: Mapping[str, Any]) -> str:
    """What names the token -> id table of a tokenizer.json."""
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    items = vocabulary.items() if isinstance(vocabulary, dict) else map(tuple, vocabulary)
    added = [(token["content"], token["id"]) for token in tokenizer.get("added_tokens", ())]
    return hashlib.sha256(repr((sorted(items), sorted(added))).encode()).hexdigest()


def read_inventory(folder: Path) -> Inventory:
    """Read the headers of a model folder.

    Raises:
        SourceError: no such folder, no configuration, a pickle checkpoint, a broken shard, or a
            quantised tensor.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such model folder")
    config = _read_json(folder / "config.json")
    tensors: dict[str, TensorInfo] = {}
    listed = _listed(folder)
    for file in sorted(set(listed.values())) or [SINGLE]:
        for name, info in read_header(folder / file).items():
            if info["dtype"] not in WIDTHS:
                raise SourceError(
                    f"{folder / file}: the tensor {name!r} is of type {info['dtype']}, whose values"
                    " mean little without their scales; save the model in bfloat16 first"
                )
            tensors[name] = TensorInfo(file, info["dtype"], tuple(info["shape"]))
    for name, file in listed.items():
        if name not in tensors:
            raise SourceError(f"{folder / INDEX}: the tensor {name!r} is not in {file}")
    return Inventory(folder, config, tensors)


@lru_cache(maxsize=1)
def _vocabulary(tokenizer: bytes) -> str:
    """The digest for a tokenizer.json; siblings mostly have the same file, read once then."""
    return vocabulary_digest(json.loads(tokenizer))


def _listed(folder: Path) -> dict[str, str]:
    """The index's tensor name -> file; nothing where there is a single file."""
    if (folder / INDEX).exists():
        listed = _read_json(folder / INDEX).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise SourceError(f"{folder / INDEX}: no key weight_map, from tensor names to files")
        return listed
    if (folder / SINGLE).exists():
        return {}
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise SourceError(
            f"{folder}: {pickles[0]} is a pickle checkpoint, which can run code when it is loaded;"
            " save the model again as safetensors (save_pretrained does)"
        )
    raise SourceError(f"{folder}: neither {SINGLE} nor {INDEX} is there")


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file (name -> dtype, shape, data_offsets), checked for length.

    Raises:
        SourceError: the file is missing, truncated or no safetensors.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 100 << 20)))
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (struct.error, ValueError):
        raise SourceError(f"{path}: not a safetensors file, or truncated") from None
    header.pop("__metadata__", None)
    end = 8 + length + max((info["data_offsets"][1] for info in header.values()), default=0)
    if path.stat().st_size < end:
        raise SourceError(f"{path}: truncated, {path.stat().st_size} of {end} bytes are there")
    return dict(header)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:
        raise SourceError(f"{path}: not valid JSON ({problem})") from None
