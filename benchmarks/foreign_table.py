"""What benchmarks/foreign.py says of scores: intervals over forms, and the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import yaml
from published import ROOT

from evomerge.study.statistics import Difference, Interval, mean_interval, paired_difference

DATA = ROOT / "evaluators" / "json_math" / "data" / "json_math" / "foreign.jsonl"
FORMS = ROOT / "examples" / "specialists" / "forms.yaml"


@dataclass(frozen=True)
class Problems:
    """The problems of the split, in order: how each is put."""

    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls) -> Problems:
        """Those of the repository."""
        listed = yaml.safe_load(FORMS.read_text())["foreign"]
        family = {form["question"]: name for name, own in listed.items() for form in own}
        rows = [json.loads(line) for line in DATA.read_text().splitlines()]
        return cls(tuple({**row, "family": family[row["template"]]} for row in rows))

    @cached_property
    def forms(self) -> int:
        """How many forms there are."""
        return len({row["template"] for row in self.rows})

    def by(self, key: str, scores: Sequence[float]) -> dict[str, float]:
        """The mean score of each `template` or `family`; `scores` may be those of the first
        problems alone."""
        own: dict[str, list[float]] = {}
        for score, row in zip(scores, self.rows, strict=False):
            own.setdefault(row[key], []).append(score)
        return {name: fmean(values) for name, values in own.items()}

    def interval(self, scores: Sequence[float]) -> Interval:
        """The mean and its interval over forms. Where each form is all right or all wrong, a form
        is an example of 0 or 1."""
        return mean_interval([*self.by("template", scores).values()])

    def difference(self, one: Sequence[float], other: Sequence[float]) -> Difference:
        """How far one is ahead, over forms."""
        pair = [[*self.by("template", scores).values()] for scores in (one, other)]
        return paired_difference(*pair)


@dataclass(frozen=True)
class Line:
    """A model, or several seeds as their mean."""

    label: str
    in_json: Sequence[float]
    plain: Sequence[float]
    holdout: float | None
    seeds: tuple[float, ...] = ()
    """Of several seeds the means on foreign."""


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
    """Say the table; the same as plain data. `rival`: the line that each is compared with."""
    beaten = next(line for line in lines if line.label == rival)
    heads = f"{'foreign (95 %, over forms)':29} {'without JSON':24} ahead of {rival}"
    say(f"\n{'':34}{'holdout':9} {heads}")
    rows = []
    for line in lines:
        foreign = problems.interval(line.in_json)
        plain = problems.interval(line.plain) if line.plain else None
        ahead = None if line is beaten else problems.difference(line.in_json, beaten.in_json)
        holdout = "" if line.holdout is None else f"{line.holdout:.3f}"
        say(f"{line.label:34}{holdout:9} {foreign!s:29} {_said(plain):24} {_said(ahead)}")
        rows.append(
            {
                "model": line.label,
                "holdout": line.holdout,
                "foreign": foreign.model_dump(),
                "seeds": list(line.seeds),
                "without_json": plain and plain.model_dump(),
                "ahead": ahead and ahead.model_dump(),
                "by_family": problems.by("family", line.in_json),
                "by_family_without_json": problems.by("family", line.plain),
            }
        )
    return rows


def _said(estimate: Interval | Difference | None) -> str:
    return "" if estimate is None else str(estimate)


def families(lines: Sequence[Line], problems: Problems, say: Callable[[str], None] = print) -> None:
    """Say what each family of forms is to some models, in JSON / without."""
    say(f"\n{'':18}" + "".join(f"{line.label:>26}" for line in lines))
    for family in dict.fromkeys(row["family"] for row in problems.rows):
        shown = (
            " / ".join(f"{own[family]:.2f}" for own in both if family in own)
            for both in (
                (problems.by("family", line.in_json), problems.by("family", line.plain))
                for line in lines
            )
        )
        say(f"{family:18}" + "".join(f"{text:>26}" for text in shown))


def summary(
    lines: Sequence[Line], problems: Problems, rival: str, say: Callable[[str], None] = print
) -> None:
    """Say of each mean of several seeds, in a sentence, how far its gain carries."""
    beaten = next(line for line in lines if line.label == rival)
    for line in lines:
        if line.seeds and line.holdout is not None and beaten.holdout is not None:
            say(
                f"\n{line.label} of {len(line.seeds)} seeds: {line.holdout:.3f} on the holdout,"
                f" {problems.interval(line.in_json)} on foreign (seeds {min(line.seeds):.3f} to"
                f" {max(line.seeds):.3f}); {rival}: {beaten.holdout:.3f} and"
                f" {problems.interval(beaten.in_json)}; ahead by"
                f" {line.holdout - beaten.holdout:+.3f} and, on foreign,"
                f" {problems.difference(line.in_json, beaten.in_json)}."
            )
