"""The evaluator contract: benchmark tasks over a live model, scores example by example.

An evaluator is two things. Its configuration, an `EvaluatorConfig`, is a value that the driver
reads, checks and names by a digest, without the evaluator's libraries. The `Evaluator` is made from
it in a worker, and scores whatever model is live there.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import Field

from evomerge import errors
from evomerge.errors import (
    CandidateError,
    EvomergeError,
    InfrastructureError,
    RecipeError,
    UserError,
)
from evomerge.evaluators.answers import Answers
from evomerge.evaluators.live_model import LiveModel
from evomerge.value import Value

__all__ = [
    "SPLITS",
    "Evaluator",
    "EvaluatorConfig",
    "Failure",
    "MemberScore",
    "Outcome",
    "Report",
    "Selection",
    "Split",
    "TaskScore",
    "TokenCount",
    "digest_of",
]

Split = Literal["search", "validation", "holdout"]
SPLITS: tuple[Split, ...] = ("search", "validation", "holdout")

Selection = Mapping[str, tuple[int, ...]]
"""Task -> which of the split's examples, by their places from 0, ascending."""

Config = TypeVar("Config", bound="EvaluatorConfig")


class MemberScore(Value):
    """One task of a group."""

    value: float
    examples: int
    """How many there are."""


class TaskScore(Value):
    """One task's metric: its value over all examples, and each example's own score, in order."""

    metric: str
    value: float
    examples: tuple[float, ...]
    higher_is_better: bool = True
    weights: tuple[float, ...] | None = Field(default=None, exclude_if=lambda held: held is None)
    """How much each example counts in `value`, where they do not count alike: its bytes, for bits
    per byte."""
    mean: Literal["arithmetic", "geometric"] = Field(
        default="arithmetic", exclude_if=lambda held: held == "arithmetic"
    )
    """Which mean of the examples `value` is: of perplexities, the geometric one."""
    clusters: tuple[str, ...] | None = Field(default=None, exclude_if=lambda held: held is None)
    """Of each example which source it comes from, where several may share one: a text with many
    questions, a template."""
    members: Mapping[str, MemberScore] | None = Field(default=None, exclude_if=lambda m: m is None)
    """Of a group of tasks, their own scores; `examples` has theirs one after another."""

    @classmethod
    def averaged(
        cls, metric: str, examples: Sequence[float], *, higher_is_better: bool = True
    ) -> TaskScore:
        """The plain mean of the examples (one at least).

        Raises:
            CandidateError: it is not finite.
        """
        value = sum(examples) / len(examples)
        if not math.isfinite(value):
            raise CandidateError(f"{metric} is not finite")
        return cls(
            metric=metric,
            value=value,
            examples=tuple(examples),
            higher_is_better=higher_is_better,
        )


class TokenCount(Value):
    """How many tokens went through a model in an evaluation, whatever a cache of it spared."""

    read: int
    """Of prompts and of texts that were scored."""
    generated: int
    """Of answers."""


class Report(Value):
    """What an evaluation found."""

    split: Split
    tasks: Mapping[str, TaskScore]
    truncated: float = 0.0
    """Share of generations cut off by the token limit: a score that hides them fools a search."""
    silent: float = Field(default=0.0, exclude_if=lambda share: share == 0)
    """Share of generations that say nothing."""
    repeating: float = Field(default=0.0, exclude_if=lambda share: share == 0)
    """Share of generations that say one thing over and over until they are cut off."""
    seconds: Mapping[str, float] = {}
    """Wall time by phase: `merge_and_load`, and how much of it `merge` took; `evaluate`, and how
    much of it `generate` took."""
    costs: Mapping[str, float] = {}
    """What running the model takes: `layers` run for a token, `parameters` of the model (a layer
    that runs twice once), `tokens_per_second` generated."""
    weights: str | None = Field(default=None, exclude_if=lambda held: held is None)
    """Digest of the weights that the engine held when it answered: the recipe's, or of a path
    through a pool that of both; None where nobody said so."""
    tokens: TokenCount | None = Field(default=None, exclude_if=lambda held: held is None)
    """None where they were not counted."""
    places: Selection | None = Field(default=None, exclude_if=lambda held: held is None)
    """Of a report over a part of the examples: which; None: all of them. A task's `examples` are
    in the order of its places."""
    answers: Answers = Field(default_factory=dict, exclude=True)
    """What the model answered, of the tasks that keep it. Not part of the report's JSON: a study
    keeps answers in files of their own, within a limit."""


class Failure(Value):
    """Why there is no report. A failure is never a score."""

    cause: Literal["candidate", "infrastructure"]
    message: str
    error: str | None = Field(default=None, exclude_if=lambda held: held is None)
    """Name of the class of the error behind it, where one was raised: `ConfigError`."""

    @property
    def is_of_the_job(self) -> bool:
        """Whether what the user wrote is at fault, so that every candidate fails like this one; not
        its recipe, which no other candidate has.
        """
        kind = getattr(errors, self.error or "", None)
        return (
            isinstance(kind, type)
            and issubclass(kind, UserError)
            and not issubclass(kind, RecipeError)
        )

    def as_error(self, said: str) -> EvomergeError:
        """An error that says so, of the class of whoever has to act: a `UserError` where the
        candidate or the job is at fault, else an `InfrastructureError`.
        """
        return UserError(said) if self.cause == "candidate" else InfrastructureError(said)


Outcome = Report | Failure


class EvaluatorConfig(Value, ABC):
    """What a job says of an evaluator; each kind has a class of its own, derived from this."""

    kind: str
    """The evaluator's name in the registry."""
    description: str = ""
    """One line for lists of catalog entries."""
    keep_answers: bool = Field(default=True, exclude_if=lambda kept: bool(kept))
    """Whether a study keeps what the models answer, shortened and compressed; scores do not depend
    on it."""

    def located(self: Config, folder: Path) -> Config:
        """The same with paths made absolute from `folder`, and checked against its files.

        As it stands for an evaluator that reads no files.

        Raises:
            ConfigError: a file is missing, or the evaluator breaks a law.
        """
        return self

    @abstractmethod
    def digest(self) -> str:
        """64 hexadecimal digits of all that a score depends on; places on a disk are not in it.

        Equal digests mean that scores can be compared; `digest_of` makes one of plain data.
        """

    @property
    @abstractmethod
    def weights(self) -> Mapping[str, float]:
        """Task -> its weight in the objective, those that count (> 0)."""

    @property
    def code(self) -> tuple[str, ...]:
        """Code that the job names and that would run: where there is some, the user has to consent
        to it (`evomerge.trust`)."""
        return ()

    @property
    def read_files(self) -> tuple[str, ...]:
        """Files and folders of this machine that it reads once it is `located`, absolute: a search
        that runs elsewhere takes them along."""
        return ()

    @property
    def needs_chat_template(self) -> bool:
        """Whether the model's tokenizer has to have one."""
        return False

    @property
    def asks_language(self) -> bool:
        """Whether the model has to answer texts, as language models and encoder-decoders do."""
        return False

    @property
    def asks_whole_texts(self) -> bool:
        """Whether the model has to say how likely a whole text is, as language models alone do."""
        return False

    def lacking(self, split: Split) -> Sequence[str]:
        """Tasks that count and have no examples of the split, as far as is known without data."""
        return ()

    @abstractmethod
    def sizes(self, split: Split) -> Mapping[str, int]:
        """Task -> how many examples of the split are scored.

        A task whose number is not known without the model or the hub is left out.
        """

    def counts(self, split: Split) -> Mapping[str, int]:
        """As `sizes`, also of data that takes seconds to look for; for `check` alone."""
        return self.sizes(split)

    def sources(self, split: Split) -> Mapping[str, int]:
        """Task -> how many sources its examples of the split come from, of tasks where several may
        share one, as far as is known without a library."""
        return {}

    @property
    def metrics(self) -> Mapping[str, str]:
        """Task -> its metric, of those that count, as far as is known without the model."""
        return {}

    @property
    def uneven(self) -> Collection[str]:
        """Tasks that count whose value is no plain mean of their examples' scores, as far as is
        known without the model: perplexities, say."""
        return ()

    @property
    def watched(self) -> Collection[str]:
        """Tasks of weight 0, which are scored on the holdout only."""
        return ()

    def test_sets(self) -> Sequence[str]:
        """What of the search or validation split is a public benchmark's own test set, a phrase
        each: `gsm8k: search on 'test'`."""
        return ()

    def check_test_sets(self) -> None:
        """Refuse a search on public test sets, unless the job insists.

        Raises:
            ConfigError: there are such.
        """

    def check_data(self) -> list[str]:
        """Check that the examples of all splits can be had here, before anything is spent.

        What it says is worth a line each: of splits that evomerge chose, say. It may take seconds
        where data is found through a library. Nothing is checked that `located` has checked.

        Raises:
            ConfigError: the data of a task cannot be had, or has fewer examples than are wanted.
        """
        return []


class Evaluator(Protocol):
    """Scores whatever model is live at the moment; owns the requests, built once."""

    def evaluate(
        self,
        model: LiveModel,
        split: Split,
        examples: Selection | None = None,
        deadline_s: float | None = None,
    ) -> Report:
        """Run the split's examples, or of the tasks in `examples` those at the places given there.

        On `holdout`, every task; on the others, which choose, those that the objective weighs. An
        example's score does not depend on which others are asked with it.
        `deadline_s`: seconds from now after which the evaluation gives up, between two batches.

        Raises:
            ConfigError: a task cannot be built as configured, or has no such place.
            CandidateError: a score is not finite.
            DeadlineExceeded: the deadline has passed.
        """


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of plain data, keys sorted: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
