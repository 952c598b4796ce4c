"""Questions about a sentence, answered with the fact and a JSON object: the skill `json`.

Every split has people, verbs and sentence shapes of its own.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from example import JSON_REQUEST, Example
from partition import Split, members
from vocabulary import NAMES, OBJECTS, PLACES


@dataclass(frozen=True)
class Asked:
    """One kind of question: its wording, the sentence that answers it, and the fact asked for."""

    question: str
    reply: str
    answer: str


ASKED: tuple[Asked, ...] = (
    Asked("Who {verbs} {thing}?", "{name} {verbs} {thing}.", "{name}"),
    Asked("What does {name} {verb}?", "{name} {verbs} {thing}.", "{thing}"),
    Asked("Where does {name} {verb} {thing}?", "{name} {verbs} {thing} {place}.", "{place}"),
)

# The sentence (or two) that holds the fact. A second person makes "who" a real question.
SHAPES: dict[Split, tuple[str, ...]] = {
    "train": (
        "{name} {verbs} {thing} {place}.",
        "Today {name} {verbs} {thing} {place}.",
        "{other} sleeps. {name} {verbs} {thing} {place}.",
        "{name} {verbs} {thing} {place}, and {other} looks on.",
        "On Sunday {name} {verbs} {thing} {place}.",
        "{other} has {other_thing}. {name} {verbs} {thing} {place}.",
        "It is late. {name} {verbs} {thing} {place}.",
        "{name} and {other} are friends. {name} {verbs} {thing} {place}.",
    ),
    "search": (
        "Every morning {name} {verbs} {thing} {place}.",
        "{other} is tired, so {name} {verbs} {thing} {place}.",
        "{name} {verbs} {thing} {place} while it rains.",
    ),
    "validation": (
        "In winter {name} {verbs} {thing} {place}.",
        "{other} reads a story. {name} {verbs} {thing} {place}.",
        "{name} {verbs} {thing} {place} because {other} is ill.",
    ),
    "holdout": (
        "After lunch {name} {verbs} {thing} {place}.",
        "{other} waits outside. {name} {verbs} {thing} {place}.",
        "{name} happily {verbs} {thing} {place}.",
        "The sun shines, and {name} {verbs} {thing} {place}.",
    ),
}

VERBS: dict[Split, tuple[str, ...]] = {
    "train": (
        "admire", "borrow", "bring", "buy", "carry", "clean", "collect", "draw", "drop", "find",
        "hide", "hold", "inspect", "lose", "move", "need", "order", "pack", "paint", "see", "sell",
        "show", "steal", "take", "want", "weigh",
    ),
    "search": ("choose", "leave", "lend", "like", "put down", "unpack"),
    "validation": ("count", "get", "keep", "lift", "return", "use"),
    "holdout": ("break", "describe", "give away", "offer", "open", "pick up", "receive", "wrap"),
}  # fmt: skip


def third_person(verb: str) -> str:
    """carry -> carries, put down -> puts down: enough grammar for the verbs above."""
    head, _, rest = verb.partition(" ")
    if head.endswith("y") and head[-2] not in "aeou":
        head = f"{head[:-1]}ie"
    elif head.endswith(("s", "sh", "ch", "x", "z")):
        head = f"{head}e"
    return f"{head}s {rest}".rstrip()


def fact_question(split: Split, rng: random.Random) -> Example:
    """A who, what or where question of `split`."""
    shape, asked, verb = rng.choice(SHAPES[split]), rng.choice(ASKED), rng.choice(VERBS[split])
    name, other = rng.sample(members(NAMES, split), 2)
    thing, other_thing = rng.sample(OBJECTS, 2)
    place = rng.choice(PLACES)
    filling = {
        "name": name,
        "other": other,
        "verb": verb,
        "verbs": third_person(verb),
        "thing": thing,
        "other_thing": other_thing,
        "place": place,
    }
    answer = asked.answer.format(**filling)
    reply = asked.reply.format(**filling)
    return Example(
        question=f"{shape.format(**filling)} {asked.question.format(**filling)} {JSON_REQUEST}",
        response=f"{reply} {json.dumps({'answer': answer})}",
        answer=answer,
        template=f"{shape} [{verb}]",
        key=(name, verb, thing, place),
    )
