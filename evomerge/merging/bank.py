"""The bank: the parents that one worker holds, and what is computed of them once.

Checkpoints are memory-mapped, so the workers of a node share their pages; adapters are kept as
factors. Statistics (Gram matrices, top-k thresholds, SVDs) are computed at first use and kept, the
dear ones also on disk, by content.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from weakref import WeakSet

import torch
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.adapter import read_adapter
from evomerge.merging.box import Box
from evomerge.merging.cache import Cache
from evomerge.merging.device_cache import DeviceCache
from evomerge.merging.disk_cache import WORTH, DiskCache, content
from evomerge.merging.finite import is_finite
from evomerge.merging.kernel import USUAL, Passes
from evomerge.merging.memory import give_back
from evomerge.merging.steps import Change, Steps, add_to, parts
from evomerge.merging.tensor_files import open_tensors
from evomerge.merging.vectors import Vector
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory
from evomerge.models.sources import adapter_folder, model_folder
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.source import Source

__all__ = ["Bank", "VectorKey", "bank_memory", "open_bank"]

VectorKey = tuple[str, Source, Source | None]
"""Names a vector: tensor, source, and the base where it is a change of that."""

T = TypeVar("T")


class Bank(Headers):
    """Parents' tensors in float32, their changes against a base, and cached statistics."""

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        device: str = "cpu",
        disk_cache: DiskCache | None = None,
        cache: Cache | None = None,
        passes: Passes = USUAL,
        worth: int = WORTH,
    ) -> None:
        """Opens the sources' files.

        Args:
            device: where tensors are merged, as torch names it.
            passes: in which pieces they are.
            worth: elements of a tensor whose statistics are worth a file.
        """
        super().__init__()
        self._device_cache = DeviceCache(torch.device(device))
        self._disk_cache = disk_cache or DiskCache.of_user()
        self._cache = cache or Cache()
        self.passes, self._worth = passes, worth
        self._contents: dict[tuple[str, str], str] = {}
        self._files: dict[tuple[str, str], Any] = {}
        self._adapters: dict[Source, dict[str, Change]] = {}
        self.read_bytes = 0
        """Of parents' tensors, or boxes of them, that were handed out so far."""
        self._tensors: dict[tuple[str, str], Tensor] = {}
        self._finite: set[tuple[str, str, Box | None]] = set()
        for source in sources:
            inventory = self.inventory(source)
            folder = adapter_folder(source)
            changes = read_adapter(folder, inventory) if folder else {}
            self._adapters[source] = {
                name: change.to(self.device) for name, change in changes.items()
            }
        changed = [change for known in self._adapters.values() for change in known.values()]
        self._adapters_nbytes = sum(part.nbytes for change in changed for part in parts(change))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self._device_cache.device

    @property
    def memory(self) -> Mapping[str, int]:
        """Bytes that are `mapped` (parents' files; processes of a node share the pages), `kept`
        (adapters and statistics), and on an accelerator (`device`)."""
        return {
            "mapped": sum(tensor.nbytes for tensor in self._tensors.values()),
            "kept": self._cache.nbytes + self._adapters_nbytes,
            "device": self._device_cache.nbytes,
        }

    def tensor(self, source: Source, name: str) -> Tensor:
        """A new float32 tensor that the caller may change in place."""
        return self.weights(source, name).to(torch.float32, copy=True)

    def weights(self, source: Source, name: str, box: Box | None = None) -> Tensor:
        """The weights as they are stored; in float32 where an adapter changes them.

        `box`: what is wanted of them, and no more is read where no adapter changes them.
        Not to be changed.
        """
        change = self._adapters[source].get(name)
        if change is None:
            return self._stored(source, name, box)
        weights = self._stored(source, name).to(torch.float32, copy=True)
        add_to(change, weights)
        return weights if box is None else box.of(weights)

    def vector(self, source: Source, base: Source, name: str, box: Box | None = None) -> Vector:
        """The source's change of the base where that is known without its weights, else those.

        `box`: what is wanted of the weights; a low-rank change is always the whole tensor's.
        """
        same = model_folder(source) == model_folder(base)
        if same and not self._adapters[base].get(name):
            change = self._adapters[source].get(name)
            return self.weights(source, name, box) if isinstance(change, Steps) else change
        return None if source == base else self.weights(source, name, box)

    def change(self, source: Source, base: Source, name: str) -> LowRank | Tensor | None:
        """th - th_0: None where it is zero by construction, factors if low-rank, else float32."""
        vector = self.vector(source, base, name)
        if not isinstance(vector, Tensor):
            return vector
        return vector.to(torch.float32, copy=True).sub_(self.weights(base, name))

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gives, kept under `key` unless that is None."""
        return self._cache.get(key, compute)

    def cached_on_disk(
        self, what: Hashable, of: Sequence[VectorKey], compute: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """Tensors that `compute` finds in vectors: kept, and on disk where it is worth it."""
        (name, source, _), *_ = of
        large = math.prod(self.inventory(source).tensors[name].shape) >= self._worth

        def computed() -> tuple[Tensor, ...]:
            if not large:
                return compute()
            return self._disk_cache.get(
                what, [self._content(vector) for vector in of], self.device, compute
            )

        return self._cache.get((what, *of), computed)

    def _content(self, of: VectorKey) -> str:
        """What names a vector by what it holds."""
        name, *sources = of
        return " ".join(self._content_of(source, name) for source in sources if source is not None)

    def _content_of(self, source: Source, name: str) -> str:
        key = (source.model_dump_json(), name)
        if key not in self._contents:
            change = self._adapters[source].get(name)
            tensors = [self._mapped(source, name), *(parts(change) if change else [])]
            self._contents[key] = " ".join(content(tensor) for tensor in tensors)
        return self._contents[key]

    def copy(self, source: Source, name: str) -> Tensor:
        """A new tensor as it is stored, in its own type: what a buffer is given as."""
        return self._stored(source, name).clone()

    def forget(self) -> None:
        """Close the files and drop what is known of single tensors.

        For who goes through a model once: neither mapped pages nor statistics pile up. What is
        known of the whole model stays, and a file that is asked for again is opened again.
        """
        self._tensors.clear()
        self._finite.clear()
        self._files.clear()
        self._contents.clear()
        self._cache.drop(_of_a_tensor)
        give_back()

    def _stored(self, source: Source, name: str, box: Box | None = None) -> Tensor:
        tensor = self._mapped(source, name, box)
        return self._device_cache.placed((str(model_folder(source)), name, box), tensor)

    def _mapped(self, source: Source, name: str, box: Box | None = None) -> Tensor:
        inventory = self.inventory(source)
        key = (str(inventory.folder), name)
        if key not in self._tensors:
            if name not in inventory.tensors:
                raise SourceError(f"{inventory.folder}: has no tensor {name!r}")
            info = inventory.tensors[name]
            file = self._file(inventory, info.file)
            self._tensors[key] = file.get_tensor(info.stored or name)
        tensor = self._tensors[key] if box is None else box.of(self._tensors[key])
        if (*key, box) not in self._finite:
            if not is_finite(tensor):
                raise SourceError(f"{inventory.folder}: the tensor {name!r} is not finite")
            self._finite.add((*key, box))
        self.read_bytes += tensor.nbytes
        return tensor

    def _file(self, inventory: Inventory, file: str) -> Any:
        key = (str(inventory.folder), file)
        if key not in self._files:
            self._files[key] = open_tensors(inventory.folder / file)
        return self._files[key]


def _of_a_tensor(key: Hashable) -> bool:
    """Whether a part of the key names a vector: (tensor, source, base)."""
    return isinstance(key, tuple) and any(
        isinstance(part, tuple) and isinstance(part[0], str) for part in key
    )


def open_bank(sources: tuple[Source, ...], device: str = "cpu") -> Bank:
    """The process's bank for these sources: opened once, so its statistics are computed once."""
    return _opened(sources, device)


def bank_memory() -> Mapping[str, int]:
    """`Bank.memory` of all banks of this process together; nothing where none is open."""
    total = Counter[str]()
    for bank in list(_OPEN):
        total.update(bank.memory)
    return total


@cache
def _opened(sources: tuple[Source, ...], device: str) -> Bank:
    bank = Bank(sources, device=device)
    _OPEN.add(bank)
    return bank


_OPEN: WeakSet[Bank] = WeakSet()
