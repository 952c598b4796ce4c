"""Parts of a split: which examples are asked, and several reports over parts joined to one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.base import MemberScore, Report, Selection, TaskScore, TokenCount
from evomerge.evaluators.quantities import costs_of
from evomerge.wording import count

__all__ = ["chosen_places", "join", "part_of"]


def chosen_places(sizes: Mapping[str, int], examples: Selection | None) -> Selection:
    """Task -> the places to ask, in the order of `sizes`; all of them where `examples` is None.

    `sizes`: task -> how many examples the split has.

    Raises:
        ConfigError: a task or a place that the split does not have, or places out of order.
    """
    if examples is None:
        return {task: tuple(range(size)) for task, size in sizes.items()}
    for task, places in examples.items():
        if task not in sizes:
            raise ConfigError(f"examples: no task {task!r}; {did_you_mean(task, sizes)}")
        if list(places) != sorted(set(places)):
            raise ConfigError(f"examples.{task}: places must ascend, each once")
        if places and not 0 <= places[0] <= places[-1] < sizes[task]:
            raise ConfigError(
                f"examples.{task}: places from {places[0]} to {places[-1]} are wanted, but the"
                f" split has {count(sizes[task], 'example')}, counted from 0"
            )
    return {task: tuple(examples[task]) for task in sizes if examples.get(task)}


def join(reports: Sequence[Report], sizes: Mapping[str, int]) -> Report:
    """One report of reports over parts of one split, all of one candidate.

    `sizes`: task -> how many examples the split has; where the parts together have all of them, the
    report is a whole one. An example that stands in several parts counts once. A task's value is
    the mean that its parts say; seconds and tokens are added, shares and costs weighed by the
    examples. Where a part says what its answers cost in tokens, beside what was spent on it, so
    does the joined report.

    Raises:
        ValueError: no reports, reports of several splits or of other weights, or a task whose value
            is no mean of its examples, so that parts do not tell the whole.
    """
    if not reports or len({report.split for report in reports}) > 1:
        raise ValueError("reports of one split can be joined, at least one")
    names = dict.fromkeys(name for report in reports for name in report.tasks)
    joined = {name: _joined(name, reports) for name in names}
    places = {name: at for name, (at, _) in joined.items()}
    whole = all(len(places.get(name, ())) == size for name, size in sizes.items())
    counts = [sum(len(task.examples) for task in report.tasks.values()) for report in reports]
    costs = [dict(report.costs) for report in reports]
    if any("tokens_generated" in own for own in costs):
        costs = [costs_of(report) for report in reports]
    return Report(
        split=reports[0].split,
        tasks={name: score for name, (_, score) in joined.items()},
        truncated=_weighed([report.truncated for report in reports], counts),
        silent=_weighed([report.silent for report in reports], counts),
        repeating=_weighed([report.repeating for report in reports], counts),
        seconds={
            phase: sum(report.seconds.get(phase, 0.0) for report in reports)
            for phase in dict.fromkeys(phase for report in reports for phase in report.seconds)
        },
        costs={
            name: _weighed(
                [own[name] for own in costs if name in own],
                [n for n, own in zip(counts, costs, strict=True) if name in own],
            )
            for name in dict.fromkeys(name for own in costs for name in own)
        },
        tokens=_tokens(reports),
        weights=_weights(reports),
        places=None if whole and sizes else places,
    )


def part_of(report: Report, examples: Selection) -> Report:
    """What the report says of some of its examples, by their places: as `join` reads them. Costs
    are those of all its examples, generated tokens too: it does not say them one by one.

    Raises:
        ValueError: a task's value is no mean of its examples, or it lacks one of the places.
    """
    tasks = {}
    for name, wanted in examples.items():
        places, score = _joined(name, [report])
        at = [places.index(place) for place in wanted]
        weights = None if score.weights is None else tuple(score.weights[i] for i in at)
        sources = None if score.clusters is None else tuple(score.clusters[i] for i in at)
        scores = tuple(score.examples[i] for i in at)
        members = None
        if score.members is not None:
            known = dict(zip(wanted, scores, strict=True))
            members = _members(_member_places(score, places), known)
        kept = {"examples": scores, "weights": weights, "clusters": sources, "members": members}
        chosen = score.model_copy(update=kept)
        tasks[name] = chosen.model_copy(update={"value": _mean(chosen)})
    kept_too = {"costs": costs_of(report), "places": dict(examples), "answers": {}}
    return report.model_copy(update={"tasks": tasks, **kept_too})


def _weights(reports: Sequence[Report]) -> str | None:
    """The digest of the weights that all parts were made with, as far as they say so."""
    said = {report.weights for report in reports if report.weights is not None}
    if len(said) > 1:
        raise ValueError("parts of one candidate were scored with different weights")
    return said.pop() if said else None


def _tokens(reports: Sequence[Report]) -> TokenCount | None:
    """Those of all parts; None where a part did not count them."""
    counted = [report.tokens for report in reports if report.tokens is not None]
    if len(counted) < len(reports):
        return None
    return TokenCount(
        read=sum(tokens.read for tokens in counted),
        generated=sum(tokens.generated for tokens in counted),
    )


def _joined(name: str, reports: Sequence[Report]) -> tuple[tuple[int, ...], TaskScore]:
    """A task's places and its score over them."""
    examples: dict[int, float] = {}
    weights: dict[int, float] = {}
    clusters: dict[int, str] = {}
    member_places: dict[str, list[int]] = {}
    parts = [report for report in reports if name in report.tasks]
    for report in parts:
        task = report.tasks[name]
        if not math.isclose(_mean(task), task.value, rel_tol=1e-9, abs_tol=1e-12):
            raise ValueError(
                f"task {name!r}: its {task.metric} is no mean of its examples' scores, so parts of"
                " it cannot be joined"
            )
        held = _weights_of(task)
        at = range(len(task.examples)) if report.places is None else report.places[name]
        for place, example, weight in zip(at, task.examples, held, strict=True):
            examples.setdefault(place, example)
            weights.setdefault(place, weight)
        clusters |= dict(zip(at, task.clusters or (), strict=False))
        for member, own in _member_places(task, at).items():
            member_places.setdefault(member, []).extend(own)
    places = tuple(sorted(examples))
    has_sources = all(report.tasks[name].clusters is not None for report in parts)
    first = parts[0].tasks[name]
    if first.members is not None:
        known = all(report.tasks[name].members is not None for report in parts)
        members = _members(member_places, examples) if known else None
        first = first.model_copy(update={"members": members})
    score = first.model_copy(
        update={
            "examples": tuple(examples[place] for place in places),
            "weights": None if first.weights is None else tuple(weights[at] for at in places),
            # A part that an earlier version scored may not say them.
            "clusters": tuple(clusters[at] for at in places) if has_sources else None,
        }
    )
    return places, score.model_copy(update={"value": _mean(score)})


def _members(
    held: Mapping[str, Iterable[int]], examples: Mapping[int, float]
) -> dict[str, MemberScore]:
    """Of a group's tasks their means over what of their places was scored, by the first of these;
    one of which nothing was scored is left out.

    Args:
        held: task -> its places.
        examples: place -> score.
    """
    places = {name: sorted(set(own) & examples.keys()) for name, own in held.items()}
    scored = sorted((name for name in places if places[name]), key=lambda name: places[name][0])
    return {
        name: MemberScore(
            value=sum(examples[place] for place in places[name]) / len(places[name]),
            examples=len(places[name]),
        )
        for name in scored
    }


def _member_places(task: TaskScore, places: Iterable[int]) -> dict[str, list[int]]:
    """Of a group's tasks the places of their examples, which stand one after another."""
    numbers = iter(places)
    return {
        member: list(islice(numbers, score.examples))
        for member, score in (task.members or {}).items()
    }


def _weights_of(task: TaskScore) -> tuple[float, ...]:
    """How much each example counts in the task's value."""
    return (1.0,) * len(task.examples) if task.weights is None else task.weights


def _mean(task: TaskScore) -> float:
    """The mean of the examples that the task's value is, if it is one."""
    weights, examples = _weights_of(task), list(task.examples)
    if not examples:
        return task.value
    if task.mean == "geometric":
        return math.exp(_weighed([math.log(example) for example in examples], weights))
    return _weighed(examples, weights)


def _weighed(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(v * w for v, w in zip(values, weights, strict=True)) / total if total else 0.0
