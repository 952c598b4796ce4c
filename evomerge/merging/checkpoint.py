"""A recipe as a model folder that transformers and vLLM load, published whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from evomerge.errors import UserError
from evomerge.merging.bank import Bank, open_bank
from evomerge.merging.shards import plan, write_shards
from evomerge.merging.weights import MergedWeights
from evomerge.models.headers import Headers
from evomerge.models.layout import Layout
from evomerge.models.outline import donor, layer_count, layer_kinds
from evomerge.models.sources import model_folder
from evomerge.models.vocabulary import TOKENIZER, Vocabulary, is_mapped, vocabulary_of
from evomerge.recipe.tree import Recipe, sources_of
from evomerge.recipe.yaml import dump_recipe

__all__ = ["published", "write_checkpoint"]

SHARD_BYTES = 2 << 30
FORGET_BYTES = 64 << 20
"""Written before the bank lets go: opening the parents' files anew is not free."""
_COMPANIONS = (
    TOKENIZER,
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
_OLDER_FORMS = ("tokenizer.model", "added_tokens.json", "vocab.json", "merges.txt")


def write_checkpoint(
    recipe: Recipe,
    out: Path,
    *,
    card: str,
    layout: Layout | None = None,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Merge into the folder `out`: weights, configuration, tokenizer, card and the recipe itself.

    `form`: None for the recipe's own tensors as a plain checkpoint.

    Each tensor is written when it is made, and neither it nor its parents are kept: memory follows
    the largest tensor, not the model. `progress` hears tensors done and total.

    Raises:
        UserError: `out` exists and is not an empty folder, or cannot hold the model.
        SourceError, CandidateError: as `MergedWeights.tensors`; nothing is left behind.
    """
    layout = layout or Layout(recipe, {}, {})
    stored = layout.stored
    bank = open_bank(tuple(dict.fromkeys(sources_of(stored))))
    weights = MergedWeights(stored, dtype)
    specs = weights.specs(bank)
    origin = model_folder(donor(recipe))
    with published(out, sum(one.size for one in specs)) as folder:
        passing = _passing(weights.tensors(), bank, len(specs), progress)
        write_shards(plan(specs, shard_bytes), passing, folder)
        known = bank.inventory(donor(stored)).config
        config = _depth(stored, known, bank)
        if is_mapped(recipe):
            vocabulary = vocabulary_of(recipe, bank.inventory)
            config["vocab_size"] = vocabulary.rows
            config |= _special_ids(vocabulary.folder)
            _write_tokenizer(vocabulary, folder)
        else:
            _copy(_COMPANIONS, origin, folder)
        if "auto_map" in known:  # to classes in files of the folder
            _copy((path.name for path in origin.glob("*.py")), origin, folder)
        for name, text in layout.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        _write_config(config | {**layout.config}, origin, folder, dtype)
        (folder / "README.md").write_text(card, encoding="utf-8")
        (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")


@contextmanager
def published(out: Path, size: int = 0) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` only if the block ends well.

    Raises:
        UserError: `out` exists and is not an empty folder, or cannot be written: the disk is full,
            say, or has no room for `size` bytes to begin with.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists already; name a new folder or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(out.parent).free) < size:
            needed = f"{size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"
            raise UserError(f"{out}: the model takes {needed}")
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
    except OSError as problem:
        raise UserError(f"{out}: cannot be written ({problem})") from None


def _passing(
    tensors: Iterable[tuple[str, Tensor]],
    bank: Bank,
    total: int,
    progress: Callable[[int, int], None],
) -> Iterator[tuple[str, Tensor]]:
    """The tensors, counted; what the bank holds of them is let go as they are written."""
    held = 0
    for done, (name, tensor) in enumerate(tensors, start=1):
        held += tensor.nbytes
        yield name, tensor
        del tensor  # before the next one is made
        if held > FORGET_BYTES:
            bank.forget()
            held = 0
        progress(done, total)


def _copy(names: Iterable[str], origin: Path, folder: Path) -> None:
    for name in names:
        if (origin / name).exists():
            shutil.copyfile(origin / name, folder / name)


def _write_tokenizer(vocabulary: Vocabulary, folder: Path) -> None:
    """The tokenizer of another vocabulary than the donor's; its older forms hold the old one."""
    names = [one for one in _COMPANIONS if not (vocabulary.changed and one in _OLDER_FORMS)]
    _copy(names, vocabulary.folder, folder)
    if vocabulary.changed:
        text = json.dumps(vocabulary.tokenizer, ensure_ascii=False, indent=2)
        (folder / TOKENIZER).write_text(text, encoding="utf-8")


def _depth(recipe: Recipe, known: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    """What the configuration says of the number of layers and of each one."""
    depth: dict[str, Any] = {}
    if "num_hidden_layers" in known:
        depth["num_hidden_layers"] = layer_count(recipe, headers)
    if "layer_types" in known.get("text_config", known):
        depth["layer_types"] = layer_kinds(recipe, headers) or None  # None: the family's default
    return depth


def _special_ids(folder: Path) -> dict[str, Any]:
    """The ids by which a model knows where texts begin and end, which go with its tokenizer."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: config[key] for key in keys if key in config}


def _write_config(
    changes: Mapping[str, Any], origin: Path, folder: Path, dtype: str | None
) -> None:
    """The origin's configuration, changed where it differs."""
    config = json.loads((origin / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    for key, value in changes.items():
        (text if key in text else config)[key] = value
    if dtype is not None:
        config.pop("torch_dtype", None)
        config["dtype"] = dtype
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
