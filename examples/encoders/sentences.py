"""The sentences of the two examples: reviews with a label, and pairs that mean the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

__all__ = ["DOMAINS", "SPLITS", "pairs", "reviews", "vocabulary"]

SPLITS: Mapping[str, int] = {"search": 40, "validation": 40, "holdout": 120}
"""Split -> its number of examples, half of them of each domain that the search is about."""

REVIEWS: Mapping[str, tuple[str, str, str]] = {
    "weather": (
        "sky morning evening wind lake air",
        "bright calm mild clear golden",
        "wet grey stormy cold foggy",
    ),
    "food": (
        "soup bread cake tea stew salad",
        "tasty fresh crisp tender juicy",
        "stale burnt bland soggy sour",
    ),
    "film": (
        "plot scene actor ending script score",
        "witty gripping moving clever bold",
        "dull silly flat clumsy noisy",
    ),
}
"""Domain -> what is reviewed, words of praise, words of blame."""

SYNONYMS: Mapping[str, str] = {
    "weather": "gale storm drizzle shower dawn sunrise dusk sunset frost ice meadow field",
    "food": "pastry tart broth soup mutton lamb yoghurt curd roll bun porridge oatmeal",
    "film": "movie picture actor player script screenplay cinema theatre sequel successor trailer"
    " preview",
}
"""Domain -> words in pairs that mean the same."""

DOMAINS = tuple(REVIEWS)
"""The first is what base models are trained on; a specialist is trained on one of the others."""

ANDS = ("and", "but also", "yet still")
MANNERS = ("a small", "an old", "the best", "every new", "her own", "that strange")


def vocabulary() -> list[str]:
    """Every word that a sentence may have, each once."""
    texts = [*(text for kinds in REVIEWS.values() for text in kinds), *SYNONYMS.values()]
    texts += [*ANDS, *MANNERS, "the was near"]
    return sorted({word for text in texts for word in text.split()})


def reviews(domain: str, seed: int) -> Iterator[tuple[str, int]]:
    """Every sentence of the domain in an order that the seed gives, with 1 for praise."""
    things, praise, blame = (text.split() for text in REVIEWS[domain])
    every = [
        (f"the {thing} was {first} {join} {second}", label)
        for label, words in enumerate((blame, praise))
        for thing, first, join, second in product(things, words, ANDS, words)
        if first != second
    ]
    random.Random(seed).shuffle(every)
    return iter(every)


def pairs(domain: str, seed: int) -> Iterator[tuple[str, str]]:
    """Every pair of sentences of the domain that mean the same, in an order that the seed gives."""
    words = SYNONYMS[domain].split()
    alike: Sequence[tuple[str, str]] = list(zip(words[::2], words[1::2], strict=True))
    every = [
        (f"{how} {one[0]} near {where} {other[0]}", f"{how} {one[1]} near {where} {other[1]}")
        for how, one, where, other in product(MANNERS, alike, MANNERS, alike)
        if one != other and how != where
    ]
    random.Random(seed).shuffle(every)
    return iter(every)
