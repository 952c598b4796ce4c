"""An exam: the requests of a task or of a group's tasks, and the score of what was answered."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from typing import Any

from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean

from evomerge.errors import CandidateError, ConfigError, did_you_mean
from evomerge.evaluators.answers import Answer
from evomerge.evaluators.base import MemberScore, TaskScore
from evomerge.evaluators.lm_eval.samples import Samples

__all__ = ["Chosen", "Exam", "Part", "over_draws", "requests_of", "task_at_fault"]

_WEIGHTED = ("bits_per_byte", "byte_perplexity", "word_perplexity")
"""Metrics that weigh documents by their bytes or words, and give (log-likelihood, weight)."""


@dataclass(frozen=True, eq=False)
class Part:
    """A task with its requests: an exam by itself, or one task of a group's exam."""

    name: str
    task: Any
    sample: list[int]
    """The documents' numbers in their dataset split, in the order of the requests."""

    @cached_property
    def documents(self) -> list[list[Instance]]:
        """The requests of each document, in the documents' order."""
        by_document: dict[int, list[Instance]] = defaultdict(list)
        for request in self.task.instances:
            by_document[request.doc_id].append(request)
        return list(by_document.values())


_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, TemplateError)
"""What templates and functions of a task raise where they do not fit its documents."""


@contextmanager
def task_at_fault(name: str, done: str) -> Iterator[None]:
    """Say it of the task where its file is at fault: it is so for every candidate.

    Raises:
        ConfigError: naming the task and what was wrong.
    """
    try:
        yield
    except _FAULTS as problem:
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise ConfigError(f"task {name!r}: its documents cannot be {done} ({said})") from problem


Chosen = Mapping[Part, Sequence[tuple[int, int]]]
"""Task -> (place in the exam, number in the task) of the examples that are asked, ascending."""


def requests_of(chosen: Chosen) -> Iterator[Instance]:
    """All requests of the chosen examples."""
    for part, held in chosen.items():
        for _, at in held:
            yield from part.documents[at]


def over_draws(scores: Sequence[TaskScore]) -> TaskScore:
    """The mean of one exam's scores that differ by the seeds of its answers, by example.

    So the draws of an example count as one, however many there are.
    """
    first = scores[0]
    if len(scores) == 1:
        return first
    members = {
        name: MemberScore(
            value=mean([(score.members or {})[name].value for score in scores]),
            examples=own.examples,
        )
        for name, own in (first.members or {}).items()
    }
    return first.model_copy(
        update={
            "value": mean([score.value for score in scores]),
            "examples": tuple(map(mean, zip(*(score.examples for score in scores), strict=True))),
            "members": members or None,
        }
    )


@dataclass(frozen=True)
class Exam:
    """What makes one score: a task, or a group of tasks."""

    name: str
    metric: str
    filter: str
    """Whose answers are scored."""
    parts: tuple[Part, ...]
    is_group: bool
    by_size: bool
    """Whether a group's task counts by its number of examples, or as much as any other."""
    clusters: str | None = None
    """The documents' field that names their source."""
    is_sampled: bool = False
    """Whether another seed gives other answers."""

    @cached_property
    def places(self) -> list[tuple[Part, int]]:
        """Of each example its task and its number there: the tasks' examples one after another."""
        return [(part, at) for part in self.parts for at in range(len(part.documents))]

    def asked(self, places: Sequence[int]) -> Chosen:
        """Task -> (place, number there) of the chosen places, which ascend."""
        chosen: dict[Part, list[tuple[int, int]]] = {}
        for place in places:
            part, at = self.places[place]
            chosen.setdefault(part, []).append((place, at))
        return chosen

    def score(self, chosen: Chosen, partly: bool) -> TaskScore:
        """The exam's score over the chosen examples; of a group the mean of its tasks' scores."""
        parts = {
            part.name: self._part_score(part, [part.documents[at] for _, at in held], partly)
            for part, held in chosen.items()
        }
        clusters = self._clusters(chosen)
        if not self.is_group:
            return parts[self.name].model_copy(update={"clusters": clusters})
        sizes = [len(score.examples) for score in parts.values()]
        shares = sizes if self.by_size else [1] * len(sizes)
        values = zip(parts.values(), shares, strict=True)
        first = next(iter(parts.values()))
        value = sum(score.value * share for score, share in values) / sum(shares)
        examples = tuple(example for score in parts.values() for example in score.examples)
        weights = None
        if not self.by_size:
            # By the sizes of the whole tasks, so that parts of the examples can be joined.
            weights = tuple(
                1.0 / len(part.sample) for part, held in chosen.items() for _ in range(len(held))
            )
            if partly:
                value = sum(map(mul, examples, weights)) / sum(weights)
        return first.model_copy(
            update={
                "value": value,
                "examples": examples,
                "weights": weights,
                "clusters": clusters,
                "members": {
                    name: MemberScore(value=score.value, examples=len(score.examples))
                    for name, score in parts.items()
                },
            }
        )

    def answers(
        self,
        chosen: Chosen,
        score: TaskScore,
        cut_off: Collection[int],
        room: int,
    ) -> tuple[Answer, ...]:
        """Of the chosen examples, in their order."""
        scores = iter(score.examples)
        answers: list[Answer] = []
        for part, held in chosen.items():
            samples = Samples(part.task, self.metric, self.filter, cut_off, room)
            for place, at in held:
                doc = part.sample[at]
                answers += samples.answer(
                    part.documents[at],
                    score=next(scores),
                    higher_is_better=score.higher_is_better,
                    place=place,
                    doc=f"{part.name}:{doc}" if self.is_group else doc,
                )
        return tuple(answers)

    def _clusters(self, chosen: Chosen) -> tuple[str, ...] | None:
        """The source of each example; of a group, sources are those of one task.

        Raises:
            ConfigError: documents have no such field.
        """
        if self.clusters is None:
            return None
        names = []
        for part, held in chosen.items():
            for _, at in held:
                doc = part.documents[at][0].doc
                if self.clusters not in doc:
                    raise ConfigError(
                        f"task {part.name!r}: clusters: its documents have no field"
                        f" {self.clusters!r}; {did_you_mean(self.clusters, list(doc))}"
                    )
                name = doc[self.clusters]
                said = name if isinstance(name, str) else json.dumps(name, default=str)
                names.append(f"{part.name}:{said}" if self.is_group else said)
        return tuple(names)

    def _part_score(self, part: Part, documents: list[list[Instance]], partly: bool) -> TaskScore:
        """One task's score. Of a part of the documents, it also says how parts are joined."""
        task, metric = part.task, self.metric
        requests = [request for group in documents for request in group]
        for ensemble in task._filters:
            ensemble.apply(requests)
        measured = []
        for group in documents:
            group = sorted(group, key=lambda request: request.idx)
            answers = [request.filtered_resps[self.filter] for request in group]
            with task_at_fault(part.name, "scored"):
                metrics = task.process_results(group[0].doc, answers)
            if metric not in metrics:
                nearest = did_you_mean(metric, metrics)
                raise ConfigError(f"task {part.name!r}: unknown metric {metric!r}; {nearest}")
            measured.append(metrics[metric])
        aggregate = task.aggregation().get(metric, mean)
        value = float(aggregate(measured))
        # Perplexities and the like give no number for one example; their aggregate of one does.
        examples = tuple(
            float(item if isinstance(item, int | float) else aggregate([item])) for item in measured
        )
        if not all(map(math.isfinite, (value, *examples))):
            raise CandidateError(f"task {part.name!r}: {metric} is not finite")
        score = TaskScore(
            metric=metric,
            value=value,
            examples=examples,
            higher_is_better=task.higher_is_better().get(metric, True),
        )
        if not (partly and metric in _WEIGHTED):
            return score
        geometric = metric.endswith("perplexity")
        return score.model_copy(
            update={
                "weights": tuple(float(weight) for _, weight in measured),
                "mean": "geometric" if geometric else "arithmetic",
            }
        )
