"""Word problems in more sentence forms: the splits `foreign`, `search_varied`, `validation_varied`.

The wordings of `search`, `validation` and `holdout` are alike in form, as are those of training, so
a score on the holdout says little of problems that are put otherwise. `foreign` asks in sentences
of other families, with other verbs, things and people; no search and no training has seen any.
`search_varied` and `validation_varied` are for searches that should carry further: their families
are neither the holdout's nor foreign's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from example import Example
from partition import Split, members
from problems import Kind, draw_operands, work_out
from vocabulary import FOREIGN_NAMES, FOREIGN_THINGS, MORE_THINGS, NAMES

FormSplit = Literal["foreign", "search_varied", "validation_varied"]
FORM_SPLITS: tuple[FormSplit, ...] = get_args(FormSplit)


@dataclass(frozen=True)
class Form:
    """A question that needs one kind of calculation, put in the way of its family."""

    family: str
    kind: Kind
    question: str


@dataclass(frozen=True, kw_only=True)
class Filling:
    """What the forms of a split are filled in with."""

    operands: Split
    """The split whose tuples of operands they are: `foreign` has the holdout's, which no training
    and no search has seen either."""
    names: tuple[str, ...]
    things: tuple[str, ...]


FILLINGS: Mapping[FormSplit, Filling] = {
    "foreign": Filling(operands="holdout", names=FOREIGN_NAMES, things=FOREIGN_THINGS),
    "search_varied": Filling(operands="search", names=members(NAMES, "search"), things=MORE_THINGS),
    "validation_varied": Filling(
        operands="validation", names=members(NAMES, "validation"), things=MORE_THINGS
    ),
}


def read_forms(path: Path) -> dict[FormSplit, tuple[Form, ...]]:
    """The forms of each split, in the order of the file."""
    listed: dict[FormSplit, dict[str, list[dict[str, Any]]]] = yaml.safe_load(path.read_bytes())
    return {
        split: tuple(Form(family, **entry) for family, forms in families.items() for entry in forms)
        for split, families in listed.items()
    }


FORMS = read_forms(Path(__file__).with_name("forms.yaml"))


def form_problem(form: Form, filling: Filling, rng: random.Random) -> Example:
    """A problem in that form, asked in plain English."""
    numbers = draw_operands(form.kind, filling.operands, rng)
    _, work, result = work_out(form.kind, numbers)
    name, other, third = rng.sample(filling.names, 3)
    question = form.question.format(
        name=name,
        other=other,
        third=third,
        things=rng.choice(filling.things),
        **dict(zip("abc", numbers, strict=False)),
    )
    return Example(
        question=question,
        response=f"{work}. The answer is {result}.",
        answer=str(result),
        template=form.question,
        key=numbers,
    )


def form_problems(split: FormSplit, count: int, rng: random.Random) -> list[Example]:
    """`count` problems of a split, no two alike. Each form comes once before any comes again, so
    the first problems of a split are as varied as all of them."""
    forms = rng.sample(FORMS[split], len(FORMS[split]))
    problems: dict[str, Example] = {}
    while len(problems) < count:
        form = forms[len(problems) % len(forms)]
        problem = form_problem(form, FILLINGS[split], rng)
        problems.setdefault(problem.question, problem)
    return list(problems.values())
