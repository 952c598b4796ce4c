"""A recipe as a model folder that transformers and vLLM load, published whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from torch import Tensor

from evomerge.merging.bank import Bank, open_bank
from evomerge.merging.shards import plan, write_shards
from evomerge.merging.weights import merged
from evomerge.models.blueprint import Blueprint, Tokens, blueprint
from evomerge.models.foreign_code import without_code
from evomerge.models.stack_layout import with_own_code
from evomerge.models.vocabulary import TOKENIZER
from evomerge.publish import whole_folder
from evomerge.reading.json_text import read_object
from evomerge.recipe.tree import Recipe, sources_of
from evomerge.recipe.yaml import dump_recipe

__all__ = ["write_checkpoint"]

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
    named: Recipe | None = None,
    layout: Blueprint | None = None,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    keep_code: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Merge into the folder `out`: weights, configuration, tokenizer, card and the recipe itself.

    `named`: the recipe as `recipe.yaml` names its sources; None: as it is here.
    `keep_code`: take over the donor's Python files, and what its files say of them.
    `layout`: the blueprint of the folder, where that is not the recipe's own (`stack_layout`).

    Each tensor is written when it is made, and neither it nor its parents are kept: memory follows
    the largest tensor, not the model. `progress` hears tensors done and total.

    Raises:
        UserError: `out` exists and is not an empty folder, or cannot hold the model.
        SourceError, CandidateError: as `MergedWeights.tensors`; nothing is left behind.
    """
    bank = open_bank(tuple(dict.fromkeys(sources_of(layout.recipe if layout else recipe))))
    made = with_own_code(layout or blueprint(recipe, bank)).stored_as(dtype)
    donor = bank.inventory(made.donor)
    with whole_folder(out, size=made.size) as folder:
        passing = _passing(merged(made, bank), bank, len(made.tensors), progress)
        write_shards(plan(made.tensors, shard_bytes), passing, folder)
        _write_tokenizer(made.tokens, folder)
        if not keep_code:
            _forget_code(folder)
        elif "auto_map" in donor.config:  # to classes in files of the folder
            _copy((path.name for path in donor.folder.glob("*.py")), donor.folder, folder)
        for name, text in made.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        # Where the donor was loaded from says nothing of this model, and may be a path.
        config = {key: value for key, value in made.config.items() if key != "_name_or_path"}
        if not keep_code:
            config = without_code(config, but="auto_map" if made.files else None)
        text = json.dumps(config, indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        (folder / "README.md").write_text(card, encoding="utf-8")
        (folder / "recipe.yaml").write_text(dump_recipe(named or recipe), encoding="utf-8")


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


def _forget_code(folder: Path) -> None:
    """Take out of the donor's files whatever names classes in Python files."""
    for name in ("tokenizer_config.json", "generation_config.json"):
        path = folder / name
        if path.exists():
            said = read_object(path, constants=True)
            if (kept := without_code(said)) != said:
                text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
                path.write_text(text, encoding="utf-8")


def _write_tokenizer(tokens: Tokens, folder: Path) -> None:
    """The tokenizer, whose older forms hold the old vocabulary where it is another one."""
    joined = tokens.joined
    changed = joined is not None and joined.changed
    names = [name for name in _COMPANIONS if not (changed and name in _OLDER_FORMS)]
    _copy(names, tokens.folder, folder)
    if joined is not None and changed:
        text = json.dumps(joined.tokenizer, ensure_ascii=False, indent=2)
        (folder / TOKENIZER).write_text(text, encoding="utf-8")
