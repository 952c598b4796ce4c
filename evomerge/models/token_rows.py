"""Where every input's row of every token comes from, found without torch.

A token that an input lacks takes there the row of the base if the base has the token, else the mean
of the rows of those that have it, else zeros (mergekit 0.1.5); a row chosen by hand comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evomerge.errors import RecipeError
from evomerge.models.vocabulary import Vocabulary
from evomerge.recipe.tokenizer import ZERO, TokenRow
from evomerge.recipe.tree import Merge

__all__ = ["Row", "TokenRows", "token_rows"]

Row = tuple[str, int]
"""An input, and a row of its matrix."""


@dataclass(frozen=True)
class TokenRows:
    """For each input and token, the row to take."""

    own: Mapping[str, Sequence[int]]
    """Input -> by token id its row, -1 where it takes the shared one."""
    shared: Mapping[int, Sequence[Row]]
    """Token id -> the rows whose mean is taken where an input has none of its own."""


def token_rows(merge: Merge, known: Mapping[str, Vocabulary], output: Vocabulary) -> TokenRows:
    """The rows of the merge's inputs, whose vocabularies are `known`, for the output's.

    Raises:
        RecipeError: a row chosen by hand is not there.
    """
    tokens = sorted(output.ids, key=lambda token: output.ids[token])
    chosen = (merge.tokenizer and merge.tokenizer.tokens) or {}
    by_hand = {token: _by_hand(token, row, known) for token, row in chosen.items()}
    names = sorted(known)
    own = {name: [known[name].ids.get(token, -1) for token in tokens] for name in names}
    shared: dict[int, tuple[Row, ...]] = {}
    for id, token in enumerate(tokens):
        having = tuple((name, own[name][id]) for name in names if own[name][id] >= 0)
        forced = token in chosen and chosen[token].force
        if len(having) == len(names) and not forced:
            continue
        if token in by_hand:
            shared[id] = by_hand[token]
        else:
            shared[id] = tuple(row for row in having if row[0] == merge.base) or having
        if forced:
            for name in names:
                own[name][id] = -1
    return TokenRows(own, shared)


def _by_hand(token: str, row: TokenRow, known: Mapping[str, Vocabulary]) -> tuple[Row, ...]:
    if row.source == ZERO:
        return ()
    of = known[row.source]
    id = of.ids.get(row.token or token) if row.id is None else row.id
    if id is None or id >= of.rows:
        missing = repr(row.token or token) if row.id is None else f"row {row.id}"
        raise RecipeError(
            f"tokenizer.tokens.{token}: {row.source!r} ({of.folder}) has no {missing}"
        )
    return ((row.source, id),)
