"""The answers of a task's documents, read from its requests once they have been answered.

What stands here is for a person to read: no score depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lm_eval.api.instance import Instance

from evomerge.evaluators.answers import Answer, shortened
from evomerge.evaluators.reasons import OTHER_OPTION, why_wrong

__all__ = ["Samples"]

_LENGTHS: Mapping[str, Callable[[str], int]] = {
    "acc_norm": len,
    "acc_bytes": lambda option: len(option.encode()),
}
"""Metric -> what it divides an option's log-likelihood by (lm-eval's `process_results`)."""


@dataclass(frozen=True)
class Samples:
    """How the answers of one task are read."""

    task: Any
    """lm-eval's task."""
    metric: str
    filter: str
    """The filter that counts."""
    cut_off: Collection[int]
    """`id` of each request of which an answer was cut off."""
    room: int
    """Most characters of a text."""

    def answer(
        self,
        requests: Sequence[Instance],
        *,
        score: float,
        higher_is_better: bool,
        place: int,
        doc: int | str,
    ) -> list[Answer]:
        """The answer of a document, given by its requests; none of a text that is only scored."""
        if self.task.OUTPUT_TYPE == "loglikelihood_rolling":
            return []
        group = sorted(requests, key=lambda request: request.idx)
        targets, said, read = self._texts(group)
        is_wrong = higher_is_better and score <= 0
        answer = Answer(
            place=place,
            doc=doc,
            target=shortened(" | ".join(targets), self.room),
            answer=shortened(said, self.room),
            read=None if read == said else shortened(read, self.room),
            score=score,
            reason=self._reason(group, said, read, targets) if is_wrong else "",
        )
        return [answer]

    @cached_property
    def _wants_json(self) -> bool:
        """Whether the filter that counts looks for JSON."""
        for listed in self.task.config.filter_list or ():
            if listed["name"] == self.filter:
                return any("json" in str(step["function"]) for step in listed["filter"])
        return False

    def _texts(self, group: Sequence[Instance]) -> tuple[list[str], str, str]:
        """(right answers, what was said, what the filter read) of a document's requests."""
        match self.task.OUTPUT_TYPE:
            case "multiple_choice":
                targets, chosen = self._options(group)
                return targets, chosen, chosen
            case "loglikelihood":
                # The model says no more than whether it would have said the right answer.
                _, is_greedy = group[0].resps[0]
                continuation = str(group[0].args[1])
                said = continuation if is_greedy else ""
                return [continuation], said, said
            case _:
                read = group[0].filtered_resps[self.filter]
                return self._targets(group), str(group[0].resps[0]), _text(read)

    def _targets(self, group: Sequence[Instance]) -> list[str]:
        """What a generated answer is compared with, as the task says."""
        doc = group[0].doc
        target = self.task.doc_to_target(doc)
        if self.task.config.doc_to_choice is not None and isinstance(target, int):
            target = self.task.doc_to_choice(doc)[target]
        return list(map(str, target)) if isinstance(target, list) else [str(target)]

    def _options(self, group: Sequence[Instance]) -> tuple[list[str], str]:
        """(the right options, the one that the metric takes as the model's) of a choice."""
        doc = group[0].doc
        options = [str(option) for option in self.task.doc_to_choice(doc)]
        likelihoods = [request.resps[0][0] for request in group][: len(options)]
        length = _LENGTHS.get(self.metric)
        worth = [
            likelihood / max(length(option), 1) if length else likelihood
            for likelihood, option in zip(likelihoods, options, strict=False)
        ]
        gold = self.task.doc_to_text(doc) if self.task.multiple_input else None
        gold = self.task.doc_to_target(doc) if gold is None else gold
        golds = gold if isinstance(gold, list) else [gold]
        right = [
            options[named] if isinstance(named, int) and named < len(options) else str(named)
            for named in golds
        ]
        return right, options[worth.index(max(worth))] if worth else ""

    def _reason(
        self, group: Sequence[Instance], said: str, read: str, targets: Sequence[str]
    ) -> str:
        match self.task.OUTPUT_TYPE:
            case "multiple_choice":
                return OTHER_OPTION
            case "loglikelihood":
                return "other text"
            case _:
                return why_wrong(
                    said,
                    read,
                    targets,
                    cut_off=id(group[0]) in self.cut_off,
                    wants_json=self._wants_json,
                )


def _text(read: Any) -> str:
    """What a filter gives, which may be a list of several readings."""
    return ", ".join(map(str, read)) if isinstance(read, list | tuple) else str(read)
