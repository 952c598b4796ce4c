"""A recipe's vocabulary: its tokens by string, read and joined without torch.

The semantics are mergekit's (0.1.5): the output has as many rows as it has tokens, whatever padding
the inputs have; a union keeps the base's ids, and what it lacks becomes added tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.architecture import is_positional, parts_of
from evomerge.models.inventory import Inventory, TensorInfo
from evomerge.models.tokenizer_files import (
    TOKENIZER,
    declared_tokens,
    ordinary_tokens,
    read_tokenizer,
    vocabulary_digest,
)
from evomerge.reading.files import is_there
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import BASE, UNION, TokenizerChoice
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack

__all__ = [
    "TOKENIZER",
    "Vocabulary",
    "has_token_rows",
    "inputs_of",
    "is_mapped",
    "output_of",
    "read_vocabulary",
    "tokenizer_donor",
    "vocabulary_of",
]

_PLAIN = {
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": True,
    "special": False,
}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and the rows that they have in embedding and head."""

    folder: Path
    """The model folder whose tokenizer this is, or that it was made from."""
    tokenizer: Mapping[str, Any]
    """As tokenizer.json has it, without the added tokens that have no row."""
    ids: Mapping[str, int]
    """Token -> row, of the tokens that have one."""
    rows: int
    changed: bool = False
    """Whether this is another tokenizer than the folder's file."""

    @cached_property
    def digest(self) -> str:
        """Names the token -> id table."""
        return vocabulary_digest(self.tokenizer)

    @property
    def added(self) -> dict[str, Mapping[str, Any]]:
        """Added and special tokens, by id."""
        tokens = sorted(self.tokenizer.get("added_tokens", ()), key=lambda token: int(token["id"]))
        return {token["content"]: token for token in tokens}

    def with_tokens(self, tokens: Mapping[str, Mapping[str, Any]]) -> Vocabulary:
        """The same with added tokens, each with its settings; new ones get the next ids."""
        added, ids = self.added, dict(self.ids)
        for token, settings in tokens.items():
            if token not in added:
                added[token] = {**settings, "content": token, "id": ids.setdefault(token, len(ids))}
        if len(added) == len(self.added):
            return self
        ordered = sorted(added.values(), key=lambda token: int(token["id"]))
        tokenizer = {**self.tokenizer, "added_tokens": ordered}
        return Vocabulary(self.folder, tokenizer, ids, self.rows, changed=True)

    def padded(self, choice: TokenizerChoice) -> Vocabulary:
        """The same with as many rows as the output has."""
        rows = choice.rows(len(self.ids))
        return Vocabulary(self.folder, self.tokenizer, self.ids, rows, self.changed)


def has_token_rows(name: str, info: TensorInfo, rows: int | None) -> bool:
    """Whether a tensor has a row for each token: embedding, head, and a head's bias."""
    at = parts_of(name)
    outside = at.layer is None and at.component in ("embedding", "head")
    return outside and not is_positional(name) and info.shape[:1] == (rows,)


def is_mapped(recipe: Recipe) -> bool:
    """Whether some merge of the recipe moves rows to another vocabulary."""
    if isinstance(recipe, Source):
        return False
    own = isinstance(recipe, Merge) and recipe.tokenizer is not None
    return own or any(is_mapped(child) for child in recipe.inputs.values())


def tokenizer_donor(recipe: Recipe) -> Source:
    """The source whose tokenizer, chat template and special tokens the result takes."""
    while not isinstance(recipe, Source):
        recipe = recipe.inputs[_donor(recipe)]
    return recipe


def vocabulary_of(recipe: Recipe, inventory: Callable[[Source], Inventory]) -> Vocabulary:
    """The vocabulary of the recipe's model.

    Raises:
        SourceError: a source has no tokenizer.json, or one that cannot be mapped.
    """
    if isinstance(recipe, Source):
        return read_vocabulary(inventory(recipe))
    if isinstance(recipe, Merge) and recipe.tokenizer is not None:
        return output_of(recipe, inputs_of(recipe, inventory))
    return vocabulary_of(recipe.inputs[recipe.donor], inventory)


def inputs_of(merge: Merge, inventory: Callable[[Source], Inventory]) -> dict[str, Vocabulary]:
    """Input -> its vocabulary; raises as `vocabulary_of`."""
    return {name: vocabulary_of(child, inventory) for name, child in merge.inputs.items()}


def output_of(merge: Merge, known: Mapping[str, Vocabulary]) -> Vocabulary:
    """What a merge with a tokenizer makes of its inputs' vocabularies.

    Raises:
        SourceError: the one to start from cannot be an output's.
    """
    assert merge.tokenizer is not None, "only such a merge joins vocabularies"
    choice, donor = merge.tokenizer, _donor(merge)
    output = known[donor]
    _check_output(output)
    if choice.source == UNION:
        others = [known[name] for name in sorted(known) if name != donor]
        output = output.with_tokens(_missing(output, others))
    new = [token for token in choice.tokens or {} if token not in output.ids]
    return output.with_tokens(dict.fromkeys(new, _PLAIN)).padded(choice)


def read_vocabulary(inventory: Inventory) -> Vocabulary:
    """A model folder's own vocabulary.

    Raises:
        SourceError: there is no tokenizer.json, or it does not tell all tokens.
    """
    path, rows = inventory.folder / TOKENIZER, inventory.vocabulary_size
    if not is_there(path):
        raise SourceError(
            f"{inventory.folder}: no {TOKENIZER}, from which vocabularies are mapped; save its"
            " tokenizer again with transformers (AutoTokenizer, save_pretrained)"
        )
    if rows is None:
        raise SourceError(f"{inventory.folder}/config.json: no key vocab_size")
    for name, info in inventory.tensors.items():
        at = parts_of(name)
        if at.layer is None and ".embed_tokens." in f".{name}" and info.shape[:1] != (rows,):
            raise SourceError(
                f"{inventory.folder}: {name} has {(*info.shape, 0)[0]} rows, config.json says"
                f" vocab_size {rows}"
            )
    tokenizer = read_tokenizer(path)
    added = tokenizer.get("added_tokens", [])
    ids = dict(ordinary_tokens(tokenizer)) | {token["content"]: int(token["id"]) for token in added}
    for token in declared_tokens(inventory.folder):
        if token not in ids:
            raise SourceError(
                f"{path}: lacks the token {token!r} of tokenizer_config.json; save the tokenizer"
                " again with transformers (AutoTokenizer, save_pretrained)"
            )
    kept = [token for token in added if int(token["id"]) < rows]
    changed = len(kept) < len(added)
    if changed:
        tokenizer["added_tokens"] = kept
    ids = {token: id for token, id in ids.items() if id < rows}
    return Vocabulary(inventory.folder, tokenizer, ids, rows, changed)


def _missing(start: Vocabulary, others: list[Vocabulary]) -> dict[str, Mapping[str, Any]]:
    """What a union adds: ordinary tokens first, then added ones; the first settings win."""
    added: dict[str, Mapping[str, Any]] = {}
    for other in others:
        for token, settings in other.added.items():
            added.setdefault(token, settings)
    ordinary = (
        token
        for other in others
        for token in sorted(other.ids, key=lambda token: other.ids[token])
        if token not in start.ids and token not in added
    )
    return dict.fromkeys(ordinary, _PLAIN) | added


def _donor(recipe: Merge | Stack | Segments) -> str:
    """The input whose vocabulary the output's starts from."""
    chosen = recipe.tokenizer if isinstance(recipe, Merge) else None
    return recipe.donor if chosen is None or chosen.source in (BASE, UNION) else chosen.source


def _check_output(vocabulary: Vocabulary) -> None:
    """An output's ids are its rows: none is beyond the matrices, and none is left out."""
    path = vocabulary.folder / TOKENIZER
    for token, id in ordinary_tokens(vocabulary.tokenizer):
        if id >= vocabulary.rows and token not in vocabulary.ids:
            raise SourceError(
                f"{path}: the token {token!r} has id {id}, but the model has"
                f" {vocabulary.rows} rows; take another tokenizer.source"
            )
    largest = max(vocabulary.ids.values(), default=-1)
    if largest + 1 != len(vocabulary.ids):
        raise SourceError(
            f"{path}: the ids have gaps or repeat ({len(vocabulary.ids)} tokens, the largest id is"
            f" {largest}); take another tokenizer.source"
        )
