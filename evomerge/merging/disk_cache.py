"""Statistics kept on disk by content: what was sorted or decomposed once is not done again.

A statistic is named by what it is and by the SHA-256 digests of the tensors that it is of, so it
serves every recipe, process and study over the same weights, and never other ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.tensor_files import tensors_in, write_tensors
from evomerge.publish import whole_file

__all__ = ["FOLDER", "DiskCache", "content"]

FOLDER = "EVOMERGE_STATISTICS"
"""Environment variable: the folder; empty for none. `evomerge/statistics` in the user's cache
folder where it is not set."""
WORTH = 1 << 16
"""Elements of a tensor whose statistics are worth a file."""
SPARE = 0.1
"""Share of the disk that stays free."""


class DiskCache:
    """Tuples of tensors by name."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> DiskCache:
        """Where the environment says."""
        given = os.environ.get(FOLDER)
        if given is not None:
            return cls(Path(given) if given else None)
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return cls(Path(caches).expanduser() / "evomerge" / "statistics")

    def get(
        self,
        what: Hashable,
        of: Sequence[str],
        device: torch.device,
        compute: Callable[[], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        """The statistic `what` of tensors with these digests: read, or computed and written."""
        if self._folder is None:
            return compute()
        name = hashlib.sha256(repr((what, *of)).encode()).hexdigest()
        path = self._folder / name[:2] / f"{name}.safetensors"
        tensors = _read(path, device)
        if tensors is None:
            tensors = compute()
            self._write(path, tensors)
        return tensors

    def _write(self, path: Path, tensors: tuple[Tensor, ...]) -> None:
        """Whole or not at all; a disk that is full, or not ours, is no reason to fail."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(path.parent)
            if disk.free < SPARE * disk.total:
                return
            with whole_file(path) as partial:
                numbered = {str(i): tensor.contiguous() for i, tensor in enumerate(tensors)}
                write_tensors(numbered, partial)
        except OSError:
            return


def _read(path: Path, device: torch.device) -> tuple[Tensor, ...] | None:
    try:
        with tensors_in(path) as file:
            count = len(file.keys())
            return tuple(file.get_tensor(str(i)).to(device) for i in range(count))
    except (SafetensorError, SourceError):
        return None


def content(tensor: Tensor) -> str:
    """The digest of a tensor's type, shape and bytes."""
    about = f"{tensor.dtype} {list(tensor.shape)}".encode()
    flat = tensor.detach().cpu().contiguous().view(-1)
    digest = hashlib.sha256(about)
    if flat.numel():
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
