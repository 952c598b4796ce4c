"""A recipe as a model folder that transformers and vLLM load, published whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from evomerge.errors import UserError
from evomerge.merging.bank import open_bank
from evomerge.merging.inventory import INDEX, SINGLE
from evomerge.merging.names import donor, layer_count, tensor_names
from evomerge.merging.sources import model_folder
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.tree import Recipe, sources_of
from evomerge.recipe.yaml import dump_recipe

__all__ = ["published", "write_checkpoint"]

SHARD_BYTES = 2 << 30
_COMPANIONS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)


def write_checkpoint(
    recipe: Recipe,
    out: Path,
    *,
    card: str,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Merge into the folder `out`: weights, configuration, tokenizer, card and the recipe itself.

    Tensors are streamed; at most one shard is in memory. `progress` hears tensors done and total.

    Raises:
        UserError: `out` exists and is not an empty folder.
        SourceError, CandidateError: as `MergedWeights.tensors`; nothing is left behind.
    """
    bank = open_bank(tuple(dict.fromkeys(sources_of(recipe))))
    total = sum(1 for _ in tensor_names(recipe, bank))
    origin = model_folder(donor(recipe))
    with published(out) as folder:
        counted = _counted(MergedWeights(recipe, dtype).tensors(), total, progress)
        _write_shards(counted, folder, shard_bytes)
        for name in _COMPANIONS:
            if (origin / name).exists():
                shutil.copyfile(origin / name, folder / name)
        _write_config(layer_count(recipe, bank), origin, folder, dtype)
        (folder / "README.md").write_text(card, encoding="utf-8")
        (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` only if the block ends well.

    Raises:
        UserError: `out` exists and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists already; name a new folder or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        folder.chmod(0o755)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _counted(
    tensors: Iterator[tuple[str, Tensor]], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, Tensor]]:
    for done, pair in enumerate(tensors, start=1):
        yield pair
        progress(done, total)


def _write_shards(tensors: Iterator[tuple[str, Tensor]], folder: Path, limit: int) -> None:
    """Shards of at most `limit` bytes (or one tensor), with an index where there are several."""
    shards: list[list[str]] = []
    sizes = 0
    waiting: dict[str, Tensor] = {}

    def flush() -> None:
        save_file(waiting, folder / f"{len(shards)}.part", metadata={"format": "pt"})
        shards.append(list(waiting))
        waiting.clear()

    held = 0
    for name, tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if waiting and held + size > limit:
            flush()
            held = 0
        waiting[name] = tensor.contiguous()
        held += size
        sizes += size
    flush()
    if len(shards) == 1:
        (folder / "0.part").rename(folder / SINGLE)
        return
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / f"{number}.part").rename(folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": sizes}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True), encoding="utf-8")


def _write_config(layers: int, origin: Path, folder: Path, dtype: str | None) -> None:
    config = json.loads((origin / "config.json").read_text(encoding="utf-8"))
    if "num_hidden_layers" in config:
        config["num_hidden_layers"] = layers
    if dtype is not None:
        config.pop("torch_dtype", None)
        config["dtype"] = dtype
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
