"""Word problems with a worked calculation: the skill `math`, and the flagship task `json_math`.

Each split has wordings (`wordings.yaml`), numbers and people of its own. A problem of `json_math`
is a word problem of the same split with a request for JSON behind it; no specialist is ever trained
on one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml
from example import JSON_REQUEST, Example
from partition import Split, members, split_of_numbers
from vocabulary import NAMES, THINGS

Kind = Literal["sum", "sum of three", "difference", "sum and difference", "product"]


@dataclass(frozen=True)
class Wording:
    """A question and the sentence that works it out; `{work}` becomes "7 + 8 = 15, 15 + 9 = 24"."""

    kind: Kind
    question: str
    working: str


def read_wordings(path: Path) -> dict[Split, tuple[Wording, ...]]:
    """The wordings of each split, in the order of the file."""
    listed: dict[Split, dict[Kind, list[dict[str, str]]]] = yaml.safe_load(path.read_bytes())
    return {
        split: tuple(Wording(kind, **entry) for kind, entries in kinds.items() for entry in entries)
        for split, kinds in listed.items()
    }


WORDINGS = read_wordings(Path(__file__).with_name("wordings.yaml"))

# Bare sums, for training only: they teach the arithmetic with few tokens.
SUMS: tuple[str, ...] = ("What is {sum}?", "Calculate {sum}.", "How much is {sum}?")


def draw_operands(kind: Kind, split: Split, rng: random.Random) -> tuple[int, ...]:
    """Numbers that fit `kind`, keep every result positive, and belong to `split`."""
    while True:
        match kind:
            case "sum":
                numbers: tuple[int, ...] = (rng.randint(2, 40), rng.randint(2, 20))
            case "sum of three":
                numbers = (rng.randint(2, 20), rng.randint(2, 12), rng.randint(2, 12))
            case "difference":
                larger = rng.randint(6, 40)
                numbers = (larger, rng.randint(2, min(20, larger - 2)))
            case "sum and difference":
                first, second = rng.randint(2, 20), rng.randint(2, 12)
                numbers = (first, second, rng.randint(2, min(12, first + second - 1)))
            case "product":
                numbers = (rng.randint(2, 9), rng.randint(2, 12))
        if split_of_numbers(numbers) == split:
            return numbers


def work_out(kind: Kind, numbers: tuple[int, ...]) -> tuple[str, str, int]:
    """The expression, the same worked out step by step, and its value.

    One operation at a time: a model of this size adds two numbers well and three at once badly.
    """
    signs = {
        "sum": "+",
        "sum of three": "++",
        "difference": "-",
        "sum and difference": "+-",
        "product": "*",
    }[kind]
    expression, value, steps = str(numbers[0]), numbers[0], []
    for sign, number in zip(signs, numbers[1:], strict=True):
        result = {"+": value + number, "-": value - number, "*": value * number}[sign]
        steps.append(f"{value} {sign} {number} = {result}")
        expression, value = f"{expression} {sign} {number}", result
    return expression, ", ".join(steps), value


def word_problem(split: Split, rng: random.Random) -> Example:
    """A word problem of `split`, asked in plain English."""
    wording = rng.choice(WORDINGS[split])
    numbers = draw_operands(wording.kind, split, rng)
    _, work, result = work_out(wording.kind, numbers)
    name, other, third = rng.sample(members(NAMES, split), 3)
    filling = {
        "name": name,
        "other": other,
        "third": third,
        "things": rng.choice(THINGS),
        "work": work,
        **dict(zip("abc", map(str, numbers), strict=False)),
    }
    return Example(
        question=wording.question.format(**filling),
        response=f"{wording.working.format(**filling)} The answer is {result}.",
        answer=str(result),
        template=wording.question,
        key=numbers,
    )


def bare_sum(split: Split, rng: random.Random) -> Example:
    """A calculation without a story."""
    template = rng.choice(SUMS)
    kind = rng.choice([wording.kind for wording in WORDINGS["train"]])
    numbers = draw_operands(kind, split, rng)
    expression, work, result = work_out(kind, numbers)
    return Example(
        question=template.format(sum=expression),
        response=f"{work}. The answer is {result}.",
        answer=str(result),
        template=template,
        key=numbers,
    )


def training_problem(rng: random.Random) -> Example:
    """What the math specialist is trained on: mostly stories, some bare sums."""
    return bare_sum("train", rng) if rng.random() < 0.3 else word_problem("train", rng)


def json_problem(split: Split, rng: random.Random) -> Example:
    """The flagship: a word problem whose answer must come as JSON."""
    return in_json(word_problem(split, rng))


def in_json(plain: Example) -> Example:
    """The same problem with the request for JSON behind it."""
    return replace(plain, question=f"{plain.question} {JSON_REQUEST}")
