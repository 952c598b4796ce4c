"""The copy in bfloat16 of a quantised model that a source asks for with `dequantize: true`.

transformers makes it, in a process of its own, once: it is kept under a name that goes by the
quantised weights, and published whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evomerge.errors import InfrastructureError, SourceError
from evomerge.models.companions import companions
from evomerge.models.inventory import SINGLE, listed_files, read_inventory
from evomerge.models.pipeline import CONFIG, PIPELINE
from evomerge.models.quantised import SETTINGS, quantisation
from evomerge.models.samples import sampled
from evomerge.publish import sweep_partial, whole_folder
from evomerge.reading.files import expanded, is_there
from evomerge.reading.json_text import read_object
from evomerge.subprocess_call import call_in_subprocess

__all__ = ["FOLDER", "dequantised", "kept_copy"]

FOLDER = "EVOMERGE_DEQUANTIZED"
"""Environment variable: the folder of the copies, of those by `tie` too. `evomerge/dequantized` in
the user's cache folder where it is not set."""
_MAKER = "evomerge.merging.dequantising:dequantise"


def dequantised(folder: Path) -> Path:
    """The folder of a model's copy in bfloat16; of a model that says of nothing that it is
    quantised the folder itself.

    Raises:
        SourceError: transformers cannot dequantise it, or not without a package that is named.
        UserError: the copy cannot be written.
    """
    if is_there(folder / PIPELINE):
        raise SourceError(
            f"{folder}: dequantize: transformers makes the copies, and cannot make one of a"
            " diffusers pipeline; leave the key out where its weights are plain"
        )
    config = read_object(folder / CONFIG, constants=True)
    if quantisation(config) is None:
        return folder
    return kept_copy(f"{folder.name}-{_name(folder, config)}", lambda out: _make(folder, out))


def kept_copy(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a copy, made once and kept: `make` fills an empty folder.

    Args:
        name: of what the copy is made, with a digest of it at the end.

    Raises:
        UserError: the copy cannot be written; or what `make` raises, and nothing is kept.
    """
    copies = _copies()
    out = copies / re.sub(r"[^A-Za-z0-9._-]", "_", name)[-80:]
    with _alone(copies, out.name):
        if not out.exists():
            sweep_partial(copies)
            with whole_folder(out) as partial:
                make(partial)
    return out


def _make(folder: Path, out: Path) -> None:
    try:
        call_in_subprocess(_MAKER, {"folder": str(folder), "out": str(out)})
    except InfrastructureError as problem:
        raise SourceError(
            f"{folder}: dequantize: transformers could not make a copy ({problem}); it takes the"
            " memory of the whole model in bfloat16"
        ) from None
    for name in companions(folder):
        (out / name).parent.mkdir(exist_ok=True)
        if not (out / name).exists():
            shutil.copyfile(folder / name, out / name)
    read_inventory(out)  # refuses what is quantised yet


def _name(folder: Path, config: dict[str, Any]) -> str:
    """What the copy is made of: the weights, and the configuration by which they are read."""
    sha256 = hashlib.sha256()
    for file in sorted(set(listed_files(folder).values())) or [SINGLE]:
        for piece in sampled(folder / file):
            sha256.update(piece)
    said = {key: config.get(key) for key in SETTINGS}
    sha256.update(json.dumps(said, sort_keys=True).encode())
    return sha256.hexdigest()[:16]


def _copies() -> Path:
    given = os.environ.get(FOLDER)
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (expanded(given) if given else expanded(caches) / "evomerge" / "dequantized").absolute()


@contextmanager
def _alone(copies: Path, name: str) -> Iterator[None]:
    """One process makes a copy, others wait for it; the kernel gives the lock back."""
    try:
        copies.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(copies / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise SourceError(
            f"{copies}: no copy can be kept there ({problem.strerror}); name another folder in"
            f" {FOLDER}"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
