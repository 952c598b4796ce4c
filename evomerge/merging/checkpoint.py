"""A recipe as a model folder that transformers and vLLM load, published whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from torch import Tensor

from evomerge.merging.bank import Bank
from evomerge.merging.compilation import ONE_PASS
from evomerge.merging.kernel import Passes
from evomerge.merging.pipeline_folder import write_pipeline_files, write_pipeline_weights
from evomerge.merging.shards import plan, write_shards
from evomerge.merging.weights import merged
from evomerge.models.blueprint import Blueprint, Tokens, blueprint
from evomerge.models.companions import companions, holds_old_tokens, is_of_tokens
from evomerge.models.foreign_code import without_code
from evomerge.models.stack_layout import with_own_code
from evomerge.models.vocabulary import TOKENIZER
from evomerge.models.weight_files import stem_of
from evomerge.publish import whole_folder
from evomerge.reading.files import LARGE, read_bytes
from evomerge.reading.json_text import parse_json
from evomerge.recipe.tree import Recipe, sources_of
from evomerge.recipe.yaml import dump_recipe

__all__ = ["write_checkpoint"]

SHARD_BYTES = 2 << 30
FORGET_BYTES = 64 << 20
"""Written before the bank lets go: opening the parents' files anew is not free."""
_TABLES = (TOKENIZER, "vocab.json", "added_tokens.json", "tekken.json", "normalizer.json")
"""Companions that are tables of tokens and nothing else."""


def write_checkpoint(
    recipe: Recipe,
    out: Path,
    *,
    card: str,
    remark: str = "",
    named: Recipe | None = None,
    layout: Blueprint | None = None,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    keep_code: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Merge into the folder `out`: weights, configuration, tokenizer, card and the recipe itself.

    `remark`: comment lines for the head of `recipe.yaml`.
    `named`: the recipe as it names its sources; None: as it is here.
    `keep_code`: take over the donor's Python files, and what its files say of them.
    `layout`: the blueprint of the folder, where that is not the recipe's own (`stack_layout`).

    Each tensor is written when it is made, and neither it nor its parents are kept: memory follows
    the largest tensor, not the model. `progress` hears tensors done and total.

    Raises:
        UserError: `out` exists and is not an empty folder, or cannot hold the model.
        SourceError, CandidateError: as `MergedWeights.tensors`; nothing is left behind.
    """
    sources = dict.fromkeys(sources_of(layout.recipe if layout else recipe))
    bank = Bank(sources, passes=Passes(compilation=ONE_PASS))
    made = with_own_code(layout or blueprint(recipe, bank)).stored_as(dtype)
    donor = bank.inventory(made.donor)
    with whole_folder(out, size=made.size) as folder:
        (folder / "README.md").write_text(card, encoding="utf-8")
        text = remark + dump_recipe(named or recipe)
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")
        passing = _passing(merged(made, bank), bank, len(made.tensors), progress)
        if donor.components:
            write_pipeline_files(donor, folder, dtype=dtype, keep_code=keep_code)
            write_pipeline_weights(made, donor, passing, folder, shard_bytes)
            return
        # First, so that one that cannot be read costs no merge.
        _write_companions(made.tokens, donor.folder, folder)
        if not keep_code:
            _forget_code(folder)
        stem = stem_of(donor.config)
        write_shards(plan(made.tensors, shard_bytes, stem), passing, folder, stem)
        if keep_code and "auto_map" in donor.config:  # to classes in files of the folder
            _copy((path.name for path in donor.folder.glob("*.py")), donor.folder, folder)
        for name, text in made.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        # Where the donor was loaded from says nothing of this model, and may be a path.
        config = {key: value for key, value in made.config.items() if key != "_name_or_path"}
        if not keep_code:
            config = without_code(config, but="auto_map" if made.files else None)
        text = json.dumps(config, indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")


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
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(read_bytes(origin / name, most=LARGE))


def _forget_code(folder: Path) -> None:
    """Take out of the donor's files whatever names classes in Python files."""
    for name in companions(folder):
        if name.endswith(".json") and name not in _TABLES:
            path = folder / name
            said = parse_json(read_bytes(path), origin=str(path), constants=True)
            if (kept := without_code(said)) != said:
                text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
                path.write_text(text, encoding="utf-8")


def _write_companions(tokens: Tokens, donor: Path, folder: Path) -> None:
    """The tokenizer, whose older forms hold the old vocabulary where it is another one, and what
    else the model needs to be loaded and fed.
    """
    joined = tokens.joined
    changed = joined is not None and joined.changed
    own = [name for name in companions(tokens.folder) if is_of_tokens(name)]
    _copy((n for n in own if not (changed and holds_old_tokens(n))), tokens.folder, folder)
    _copy((name for name in companions(donor) if not is_of_tokens(name)), donor, folder)
    if joined is not None and changed:
        text = json.dumps(joined.tokenizer, ensure_ascii=False, indent=2)
        (folder / TOKENIZER).write_text(text, encoding="utf-8")
