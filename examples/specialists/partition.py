"""Which split a thing belongs to: decided by its hash, never by a draw.

Names, words and tuples of numbers are dealt out once and for all, so training and the three
evaluation splits cannot meet, whatever the seed, the order of generation or the number of examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Literal, get_args

Split = Literal["train", "search", "validation", "holdout"]
SPLITS: tuple[Split, ...] = get_args(Split)
EVALUATION_SPLITS: tuple[Split, ...] = SPLITS[1:]

# Upper bounds in percent. Holdout gets twice the share of the others, as it has twice the examples.
_UPPER_BOUNDS: tuple[tuple[Split, int], ...] = (
    ("train", 60),
    ("search", 70),
    ("validation", 80),
    ("holdout", 100),
)


def split_of(key: str) -> Split:
    """The split that owns `key`."""
    percent = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    return next(split for split, bound in _UPPER_BOUNDS if percent < bound)


def split_of_numbers(numbers: Iterable[int]) -> Split:
    """The split that owns a multiset of operands; 3 + 5 and 5 + 3 are the same fact."""
    return split_of("numbers:" + ",".join(str(number) for number in sorted(numbers)))


@cache
def members(pool: tuple[str, ...], split: Split) -> tuple[str, ...]:
    """The part of `pool` that `split` owns, in the order of `pool`."""
    return tuple(item for item in pool if split_of(item) == split)
