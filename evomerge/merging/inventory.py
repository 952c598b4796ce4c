"""What a checkpoint holds, read from headers: no weight and no torch is loaded."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError

__all__ = ["Inventory", "TensorInfo", "read_inventory", "vocabulary_digest"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WIDTHS = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes of an element, by safetensors' name of the type."""
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
        text = self.config.get("text_config", self.config)
        for key in ("num_hidden_layers", "n_layer", "num_layers"):
            if key in text:
                return int(text[key])
        raise SourceError(f"{self.folder}/config.json: no key num_hidden_layers; is it a decoder?")

    @property
    def parameters(self) -> int:
        """Number of weights stored."""
        return sum(_elements(info.shape) for info in self.tensors.values())

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(
            _elements(info.shape) * WIDTHS.get(info.dtype, 4) for info in self.tensors.values()
        )

    @property
    def vocabulary_size(self) -> int | None:
        """Rows of embedding and head, as the configuration has it."""
        found = self.config.get("text_config", self.config).get("vocab_size")
        return None if found is None else int(found)

    @cached_property
    def vocabulary(self) -> str | None:
        """A digest of the tokenizer's token -> id table; None without tokenizer.json."""
        path = self.folder / "tokenizer.json"
        return vocabulary_digest(_read_json(path)) if path.exists() else None

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


def vocabulary_digest(tokenizer: Mapping[str, Any]) -> str:
    """What names the token -> id table of a tokenizer.json."""
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    items = vocabulary.items() if isinstance(vocabulary, dict) else map(tuple, vocabulary)
    added = [(token["content"], token["id"]) for token in tokenizer.get("added_tokens", ())]
    return hashlib.sha256(repr((sorted(items), sorted(added))).encode()).hexdigest()


def read_inventory(folder: Path) -> Inventory:
    """Read the headers of a model folder.

    Raises:
        SourceError: no such folder, no configuration, a pickle checkpoint, a broken shard.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such model folder")
    config = _read_json(folder / "config.json")
    tensors: dict[str, TensorInfo] = {}
    for file in _shards(folder):
        for name, info in read_header(folder / file).items():
            tensors[name] = TensorInfo(file, info["dtype"], tuple(info["shape"]))
    return Inventory(folder, config, tensors)


def _shards(folder: Path) -> list[str]:
    if (folder / INDEX).exists():
        return sorted(set(_read_json(folder / INDEX)["weight_map"].values()))
    if (folder / SINGLE).exists():
        return [SINGLE]
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


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
