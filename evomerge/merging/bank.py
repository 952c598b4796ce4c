"""The bank: the parents that one worker holds, and what is computed of them once.

Checkpoints are memory-mapped, so the workers of a node share their pages; adapters are kept as
factors. Statistics (Gram matrices, top-k thresholds, SVDs) are computed at first use and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cache
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.adapter import LowRank, read_adapter
from evomerge.merging.finite import is_finite
from evomerge.merging.headers import Headers
from evomerge.merging.inventory import Inventory
from evomerge.merging.memory import keep_freed_memory
from evomerge.merging.sources import adapter_folder, model_folder
from evomerge.merging.vectors import Vector
from evomerge.recipe.source import Source

__all__ = ["Bank", "open_bank"]

KEPT = 200_000
"""Statistics; where density is a gene, every candidate brings new ones. Past this all go."""

T = TypeVar("T")


class Bank(Headers):
    """Parents' tensors in float32, their changes against a base, and cached statistics."""

    def __init__(self, sources: Iterable[Source]) -> None:
        super().__init__()
        self._files: dict[tuple[str, str], Any] = {}
        self._adapters: dict[Source, dict[str, LowRank]] = {}
        self._known: dict[Hashable, Any] = {}
        self._tensors: dict[tuple[str, str], Tensor] = {}
        for source in sources:
            inventory = self.inventory(source)
            folder = adapter_folder(source)
            changes = read_adapter(folder) if folder else {}
            for name, change in changes.items():
                shape = (change.b.shape[0], change.a.shape[1])
                known = inventory.tensors.get(name)
                if known is None or known.shape != shape:
                    raise SourceError(
                        f"{folder}: changes {name} of shape {shape}, but {inventory.folder} has"
                        f" {known.shape if known else 'no such tensor'}"
                    )
            self._adapters[source] = changes

    def tensor(self, source: Source, name: str) -> Tensor:
        """A new float32 tensor that the caller may change in place."""
        return self.weights(source, name).to(torch.float32, copy=True)

    def weights(self, source: Source, name: str) -> Tensor:
        """The weights as they are stored; in float32 where an adapter changes them.

        Not to be changed.
        """
        stored, change = self._stored(source, name), self._adapters[source].get(name)
        if change is None:
            return stored
        weights = stored.to(torch.float32, copy=True)
        change.add_to(weights, 1.0)
        return weights

    def vector(self, source: Source, base: Source, name: str) -> Vector:
        """The source's change of the base where that is known without its weights, else those."""
        same = model_folder(source) == model_folder(base)
        if same and not self._adapters[base].get(name):
            return self._adapters[source].get(name)
        return None if source == base else self.weights(source, name)

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gives, kept under `key` unless that is None."""
        if key is None:
            return compute()
        if key not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = compute()
        found: T = self._known[key]
        return found

    def copy(self, source: Source, name: str) -> Tensor:
        """A new tensor as it is stored, in its own type: what a buffer is given as."""
        return self._stored(source, name).clone()

    def forget(self) -> None:
        """Close the files and drop what is known of single tensors.

        For who goes through a model once: neither mapped pages nor statistics pile up. What is
        known of the whole model stays, and a file that is asked for again is opened again.
        """
        self._tensors.clear()
        self._files.clear()
        self._known = {key: one for key, one in self._known.items() if not _of_a_tensor(key)}

    def _stored(self, source: Source, name: str) -> Tensor:
        inventory = self.inventory(source)
        key = (str(inventory.folder), name)
        if key not in self._tensors:
            if name not in inventory.tensors:
                raise SourceError(f"{inventory.folder}: has no tensor {name!r}")
            tensor = self._file(inventory, inventory.tensors[name].file).get_tensor(name)
            if not is_finite(tensor):
                raise SourceError(f"{inventory.folder}: the tensor {name!r} is not finite")
            self._tensors[key] = tensor
        return self._tensors[key]

    def _file(self, inventory: Inventory, file: str) -> Any:
        key = (str(inventory.folder), file)
        if key not in self._files:
            path = inventory.folder / file
            try:
                self._files[key] = safe_open(path, framework="pt", device="cpu")
            except (OSError, SafetensorError) as problem:
                raise SourceError(f"{path}: cannot be read ({problem})") from None
        return self._files[key]


def _of_a_tensor(key: Hashable) -> bool:
    """Whether a part of the key names a vector: (tensor, source, base)."""
    return isinstance(key, tuple) and any(
        isinstance(part, tuple) and isinstance(part[0], str) for part in key
    )


@cache
def open_bank(sources: tuple[Source, ...]) -> Bank:
    """The process's bank for these sources: opened once, so its statistics are computed once."""
    keep_freed_memory()
    return Bank(sources)
