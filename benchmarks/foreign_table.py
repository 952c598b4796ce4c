"""What benchmarks/foreign.py says of scores: intervals over forms, and the table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import yaml
from published import ROOT

from evomerge.study.statistics import Difference, Interval, mean_interval, paired_difference

DATA = ROOT / "evaluators" / "json_math" / "data" / "json_math"
FORMS = ROOT / "examples" / "specialists" / "forms.yaml"


@dataclass(frozen=True)
class Problems:
    """The problems of a split, in order: how each is put."""

    split: str
    group: str
    """What the forms are told by: the `family` that a foreign one belongs to, or each `form`."""
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, split: str = "foreign", count: int | None = None) -> Problems:
        """Those of the repository, the first `count` of them."""
        lines = (DATA / f"{split}.jsonl").read_text().splitlines()[:count]
        rows = [json.loads(line) for line in lines]
        if split != "foreign":
            return cls(split, "form", tuple({**row, "form": row["template"]} for row in rows))
        listed = yaml.safe_load(FORMS.read_text())["foreign"]
        family = {form["question"]: name for name, own in listed.items() for form in own}
        return cls(
            split, "family", tuple({**row, "family": family[row["template"]]} for row in rows)
        )

    @cached_property
    def forms(self) -> int:
        """How many forms there are."""
        return len({row["template"] for row in self.rows})

    def by(self, key: str, scores: Sequence[float]) -> dict[str, float]:
        """The mean score of each `template` or `group`; `scores` may be those of the first
        problems alone."""
        own: dict[str, list[float]] = {}
        for score, row in zip(scores, self.rows, strict=False):
            own.setdefault(row[key], []).append(score)
        return {name: fmean(values) for name, values in own.items()}

    def interval(self, scores: Sequence[float]) -> Interval:
        """The mean and its interval over forms. Where each form is all right or all wrong, a form
        is an example of 0 or 1. Forms of several sizes would not count alike as their means: the
        problems are then examples that share a source."""
        if (sources := self._unequal(scores)) is not None:
            return mean_interval(scores, sources)
        return mean_interval([*self.by("template", scores).values()])

    def difference(self, one: Sequence[float], other: Sequence[float]) -> Difference:
        """How far one is ahead, over forms."""
        if (sources := self._unequal(one)) is not None:
            return paired_difference(one, other, clusters=sources)
        pair = [[*self.by("template", scores).values()] for scores in (one, other)]
        return paired_difference(*pair)

    def _unequal(self, scores: Sequence[float]) -> list[str] | None:
        forms = [row["template"] for row in self.rows[: len(scores)]]
        return forms if len(set(Counter(forms).values())) > 1 else None


@dataclass(frozen=True)
class Line:
    """A model, or several seeds as their mean."""

    label: str
    in_json: Sequence[float]
    plain: Sequence[float]
    holdout: float | None
    seeds: tuple[float, ...] = ()
    """Of several seeds the means on these problems."""


def mean_line(label: str, lines: Sequence[Line]) -> Line:
    """Several seeds as one: their mean, problem by problem."""
    known = [line.holdout for line in lines if line.holdout is not None]
    return Line(
        label,
        _mean([line.in_json for line in lines]),
        _mean([line.plain for line in lines]),
        fmean(known) if len(known) == len(lines) else None,
        tuple(fmean(line.in_json) for line in lines),
    )


def _mean(several: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(values) for values in zip(*several, strict=True)]


def table(
    lines: Sequence[Line], problems: Problems, rival: str, say: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Say the table; the same as plain data. `rival`: the line that each is compared with.

    On foreign problems `holdout` is what a model was published with, on the holdout `published`.
    """
    beaten = next(line for line in lines if line.label == rival)
    known = "published" if problems.split == "holdout" else "holdout"
    heads = f"{f'{problems.split} (95 %, over forms)':29} {'without JSON':24} ahead of {rival}"
    say(f"\n{'':34}{known:9} {heads}")
    rows = []
    for line in lines:
        own = problems.interval(line.in_json)
        plain = problems.interval(line.plain) if line.plain else None
        ahead = None if line is beaten else problems.difference(line.in_json, beaten.in_json)
        holdout = "" if line.holdout is None else f"{line.holdout:.3f}"
        say(f"{line.label:34}{holdout:9} {own!s:29} {_said(plain):24} {_said(ahead)}")
        rows.append(
            {
                "model": line.label,
                known: line.holdout,
                problems.split: own.model_dump(),
                "seeds": list(line.seeds),
                "without_json": plain and plain.model_dump(),
                "ahead": ahead and ahead.model_dump(),
                f"by_{problems.group}": problems.by(problems.group, line.in_json),
                f"by_{problems.group}_without_json": problems.by(problems.group, line.plain),
            }
        )
    return rows


def _said(estimate: Interval | Difference | None) -> str:
    return "" if estimate is None else str(estimate)


def groups(lines: Sequence[Line], problems: Problems, say: Callable[[str], None] = print) -> None:
    """Say what each family of forms, or each form, is to some models, in JSON / without."""
    known = [*dict.fromkeys(row[problems.group] for row in problems.rows)]
    width = max(18, *(len(group) + 2 for group in known))
    say(f"\n{'':{width}}" + "".join(f"{line.label:>26}" for line in lines))
    for group in known:
        shown = (
            " / ".join(f"{own[group]:.2f}" for own in both if group in own)
            for both in (
                [problems.by(problems.group, scores) for scores in (line.in_json, line.plain)]
                for line in lines
            )
        )
        say(f"{group:{width}}" + "".join(f"{text:>26}" for text in shown))


def summary(
    lines: Sequence[Line], problems: Problems, rival: str, say: Callable[[str], None] = print
) -> None:
    """Say of each mean of several seeds, in a sentence, how far its gain carries."""
    beaten = next(line for line in lines if line.label == rival)
    known = "as published" if problems.split == "holdout" else "on the holdout"
    for line in lines:
        if line.seeds and line.holdout is not None and beaten.holdout is not None:
            say(
                f"\n{line.label} of {len(line.seeds)} seeds: {line.holdout:.3f} {known},"
                f" {problems.interval(line.in_json)} on {problems.split} (seeds"
                f" {min(line.seeds):.3f} to {max(line.seeds):.3f}); {rival}:"
                f" {beaten.holdout:.3f} and {problems.interval(beaten.in_json)}; ahead by"
                f" {line.holdout - beaten.holdout:+.3f} and, on {problems.split},"
                f" {problems.difference(line.in_json, beaten.in_json)}."
            )
