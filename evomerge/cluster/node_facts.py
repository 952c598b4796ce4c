"""What a node has beside what Ray counts: memory, GPU memory, and disk where models are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.merging.memory_limit import memory_limit
from evomerge.value import Value

__all__ = ["NodeFacts", "models_folder", "node_facts"]

MIB = 1 << 20


class NodeFacts(Value):
    """One node, as a process on it sees it, and as Ray does."""

    name: str = "this machine"
    """For a person."""
    resources: Mapping[str, float] = {}
    """Ray's: resource -> amount."""
    memory: int | None = None
    """Bytes that its processes may use together; None: not known, like the others."""
    gpu_memory: tuple[int, ...] | None = None
    """Bytes of each of its GPUs."""
    models: str | None = None
    """The folder that models are downloaded into."""
    disk_free: int | None = None
    """Bytes that are free there."""


def node_facts() -> dict[str, Any]:
    """What this node has, as plain data of `NodeFacts`, without what Ray knows."""
    folder = models_folder()
    return {
        "memory": memory_limit(),
        "gpu_memory": _gpu_memory(),
        "models": str(folder),
        "disk_free": _free(folder),
    }


def models_folder() -> Path:
    """Where the hub's library keeps what it downloads (huggingface_hub's page "Environment
    variables")."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = os.environ.get("HF_HOME") or caches / "huggingface"
    return Path(home).expanduser() / "hub"


def _free(folder: Path) -> int | None:
    """Bytes free where the folder is, or would be."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _gpu_memory() -> list[int] | None:
    """Bytes of each GPU as the driver's tool tells; None where there is none."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return [int(line) * MIB for line in said.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
