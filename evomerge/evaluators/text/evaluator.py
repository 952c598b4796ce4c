"""Bits per byte and perplexity of text, window by window, by any live model.

With the natural logarithm's -log p of a text's tokens summed to L nats:

    bits per byte = L / (ln 2 * bytes of the text in UTF-8)
    perplexity    = exp(L / tokens)

The first is the BPB of Gao et al. 2020 (The Pile, arXiv:2101.00027, section 3.1), there written as
(tokens / bytes) * (loss / ln 2); it does not depend on how a tokenizer cuts the text. Both are over
a task's whole text; a window's own value is its example's score. Windows of one document share a
source, where the task has several documents.

A document is tokenized whole, without special tokens, and a token belongs to the window in which
its first character stands. A window's tokens are scored after the `context_tokens` tokens before
them in their document (Press et al. 2021, arXiv:2012.15832, section 2, call that a sliding window),
at the document's beginning after one token for the start of a text (the tokenizer's bos, or eos
where it has none). What does not fit into the model beside its context is scored in several pieces.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from evomerge.errors import CandidateError, ConfigError
from evomerge.evaluators.answers import Answer, shortened
from evomerge.evaluators.base import Report, Selection, Split, TaskScore
from evomerge.evaluators.live_model import LiveModel
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.selection import chosen_places
from evomerge.evaluators.splits import tasks_of
from evomerge.evaluators.text.config import TextConfig
from evomerge.evaluators.text.windows import Document, Window, sources_of

__all__ = ["TextEvaluator"]

_BEGINNING = 200
"""Characters of a window by which a person knows it again."""

Pair = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class _Example:
    """A window as the model is asked for it."""

    pairs: tuple[Pair, ...]
    """(context, tokens) of each piece."""
    tokens: int
    bytes: int
    where: str
    """The file, the line where the document begins, and the window's characters in it."""
    beginning: str
    """Of the window's text."""
    source: str | None
    """Its document, where the task's windows share some."""


class TextEvaluator:
    """Tokenizes each text once, and asks every candidate the same."""

    config = TextConfig

    def __init__(self, config: TextConfig) -> None:
        self._config = config
        self._examples: dict[Split, dict[str, list[_Example]]] = {}
        self._tokenizer: Any = None
        self._max_length = 0

    def evaluate(
        self,
        model: LiveModel,
        split: Split,
        examples: Selection | None = None,
        deadline_s: float | None = None,
    ) -> Report:
        """Scores of the model, over all windows of the split or those at the chosen places.

        Raises:
            ConfigError: the split has no text, or a place is not there.
            CandidateError: a score is not finite.
            DeadlineExceeded: the deadline has passed.
        """
        tasks = self._built(model, split)
        places = chosen_places({name: len(held) for name, held in tasks.items()}, examples)
        asked = {name: [tasks[name][place] for place in at] for name, at in places.items()}
        metered = MeteredModel(model, deadline_s)
        flat = [example for held in asked.values() for example in held]
        logprobs = metered.logprobs([pair for example in flat for pair in example.pairs])
        totals = iter(logprobs)
        scores = {}
        for name, held in asked.items():
            nats = [-sum(next(totals).total for _ in example.pairs) for example in held]
            scores[name] = _score(name, self._config.tasks[name].metric, held, nats)
        answers = {
            name: tuple(
                Answer(place=place, doc=example.where, target=example.beginning, answer="", score=s)
                for place, example, s in zip(places[name], held, scores[name].examples, strict=True)
            )
            for name, held in asked.items()
            if self._config.keep_answers
        }
        return metered.report(split, scores, None if examples is None else places, answers)

    def _built(self, model: LiveModel, split: Split) -> dict[str, list[_Example]]:
        """The split's examples for this model's tokenizer and length."""
        if model.tokenizer is not self._tokenizer or model.max_length != self._max_length:
            self._tokenizer, self._max_length = model.tokenizer, model.max_length
            self._examples = {}
        if split not in self._examples:
            config = self._config
            names = tasks_of(split, config.tasks, config.splits)
            if not names:
                raise ConfigError(f"the evaluator has no text for {split}; add it to its splits")
            self._examples[split] = {name: self._task(name, split) for name in names}
        return self._examples[split]

    def _task(self, name: str, split: Split) -> list[_Example]:
        tokens: dict[Document, _Tokens] = {}
        examples = []
        windows = self._config.windows(name, split)
        named = sources_of([document for document, _ in windows])
        sources: Sequence[str | None] = named or [None] * len(windows)
        for (document, window), source in zip(windows, sources, strict=True):
            if document not in tokens:
                tokens[document] = _Tokens.of(document.text, self._tokenizer)
            examples.append(self._example(document, window, tokens[document], source))
        return examples

    def _example(
        self, document: Document, window: Window, tokens: _Tokens, source: str | None
    ) -> _Example:
        first, end = tokens.between(window)
        context = max(1, min(self._config.context_tokens, self._max_length // 2))
        room = self._max_length - context
        pairs = []
        for piece in range(first, end, room):
            until = min(piece + room, end)
            # The stream begins with the prefix: its token i + 1 is the document's i.
            before = tokens.stream[max(0, piece + 1 - context) : piece + 1]
            pairs.append((before, tokens.stream[piece + 1 : until + 1]))
        text = document.text[window.start : window.end]
        where = f"{document.where}[{window.start}:{window.end}]"
        beginning = shortened(text, _BEGINNING)
        size = len(text.encode())
        return _Example(tuple(pairs), end - first, size, where, beginning, source)


@dataclass(frozen=True)
class _Tokens:
    """A document's tokens."""

    stream: list[int]
    """After one that stands for the start of a text."""
    starts: list[int]
    """Of each token of the document: its first character. Ascending."""

    @classmethod
    def of(cls, text: str, tokenizer: Any) -> _Tokens:
        if not getattr(tokenizer, "is_fast", False):
            raise ConfigError(
                "the model's tokenizer does not say where in the text a token stands; the text"
                " evaluator needs a fast one (a tokenizer.json)"
            )
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        bos = tokenizer.bos_token_id
        prefix = int(tokenizer.eos_token_id if bos is None else bos)
        starts = accumulate((int(start) for start, _ in encoded["offset_mapping"]), max)
        return cls([prefix, *map(int, encoded["input_ids"])], list(starts))

    def between(self, window: Window) -> tuple[int, int]:
        """The document's tokens [first, end) that the window has."""
        first = bisect_right(self.starts, window.start - 1)
        return first, bisect_right(self.starts, window.end - 1)


def _score(name: str, metric: str, held: Sequence[_Example], nats: Sequence[float]) -> TaskScore:
    by_bytes = metric == "bits_per_byte"
    weights = [example.bytes if by_bytes else example.tokens for example in held]

    def value(nats: float, weight: int) -> float:
        if by_bytes:
            return nats / (math.log(2) * weight)
        mean = nats / weight if weight else 0.0  # within a token that an earlier window has
        return math.exp(mean) if mean < 700 else math.inf

    total = value(sum(nats), sum(weights))
    examples = tuple(value(n, weight) for n, weight in zip(nats, weights, strict=True))
    if not all(map(math.isfinite, (total, *examples))):
        raise CandidateError(f"task {name!r}: {metric} is not finite")
    sources = tuple(example.source for example in held if example.source is not None)
    return TaskScore(
        metric=metric,
        value=total,
        examples=examples,
        higher_is_better=False,
        weights=tuple(map(float, weights)),
        mean="arithmetic" if by_bytes else "geometric",
        clusters=sources or None,
    )
