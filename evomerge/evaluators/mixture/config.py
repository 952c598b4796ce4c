"""Several evaluators in one objective."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from evomerge.errors import ConfigError, about, did_you_mean
from evomerge.evaluators.base import EvaluatorConfig, Split, digest_of
from evomerge.evaluators.registry import PARTS
from evomerge.plugins import settings

__all__ = ["MixtureConfig"]

T = TypeVar("T")


def _parts(data: Any) -> Any:
    """Each evaluator by its own kind, so that a fault in it names its key."""
    if not isinstance(data, Mapping):
        return data
    for name, part in data.items():
        if isinstance(part, MixtureConfig) or (
            isinstance(part, Mapping) and part.get("kind") == "mixture"
        ):
            raise ConfigError(f"of.{name}: a mixture cannot be in a mixture; name its evaluators")
    return {name: PARTS.config(part, key=f"of.{name}") for name, part in data.items()}


def _named(parts: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """What each evaluator says of its tasks, of tasks by their names in the mixture."""
    return {f"{name}/{task}": value for name, own in parts.items() for task, value in own.items()}


class MixtureConfig(EvaluatorConfig):
    """Several evaluators, each asked in turn; their tasks are called EVALUATOR/TASK."""

    kind: Literal["mixture"] = "mixture"
    """Several evaluators in one objective."""
    of: Annotated[
        Mapping[str, Annotated[EvaluatorConfig, settings(PARTS, "of", catalogued=True)]],
        BeforeValidator(_parts),
        Field(min_length=1),
    ]
    """Name -> an evaluator, or in a file the name of one in the catalog."""
    shares: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Name -> how much the evaluator counts in the objective, 1 where it is not named; its tasks
    share that by their weights. One of 0 is asked on the holdout only."""

    @model_validator(mode="after")
    def _laws(self) -> MixtureConfig:
        for name in self.of:
            if "/" in name:
                raise ValueError(f"of: {name!r} has a '/', which parts a name from its task")
        for name in self.shares:
            if name not in self.of:
                raise ValueError(f"shares: no evaluator {name!r}; {did_you_mean(name, self.of)}")
        if not self.weights:
            raise ValueError("shares: at least one evaluator needs more than 0")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """EVALUATOR/TASK -> its part of the evaluator's share."""
        weights = {}
        for name, part in self.of.items():
            total = sum(part.weights.values())
            for task, weight in part.weights.items():
                if self.share(name) > 0:
                    weights[f"{name}/{task}"] = self.share(name) * weight / total
        return weights

    @property
    def code(self) -> tuple[str, ...]:
        """The code that the evaluators run."""
        return tuple(code for part in self.of.values() for code in part.code)

    @property
    def read_files(self) -> tuple[str, ...]:
        """What the evaluators read."""
        return tuple(dict.fromkeys(file for part in self.of.values() for file in part.read_files))

    @property
    def needs_chat_template(self) -> bool:
        """Whether one of them does."""
        return any(part.needs_chat_template for part in self.of.values())

    @property
    def asks_language(self) -> bool:
        """Whether one of them does."""
        return any(part.asks_language for part in self.of.values())

    @property
    def asks_whole_texts(self) -> bool:
        """Whether one of them does."""
        return any(part.asks_whole_texts for part in self.of.values())

    def lacking(self, split: Split) -> list[str]:
        """EVALUATOR/TASK of each task that counts and has no examples of the split."""
        return [
            f"{name}/{task}"
            for name, part in self.asked(split).items()
            for task in part.lacking(split)
            if self.share(name) > 0
        ]

    def share(self, name: str) -> float:
        """How much an evaluator counts."""
        return self.shares.get(name, 1.0)

    def asked(self, split: Split) -> dict[str, EvaluatorConfig]:
        """The evaluators that score a split: on the holdout all, on the others those that count."""
        return {
            name: part
            for name, part in self.of.items()
            if split == "holdout" or self.share(name) > 0
        }

    def located(self, folder: Path) -> MixtureConfig:
        """With each evaluator located.

        Raises:
            ConfigError: of one of them, whose name is in the message.
        """
        located = {}
        for name, part in self.of.items():
            with about(f"of.{name}"):
                located[name] = part.located(folder)
        return self.model_copy(update={"of": located})

    def digest(self) -> str:
        """64 hexadecimal digits of the evaluators' own, and of their shares."""
        parts = {name: part.digest() for name, part in self.of.items()}
        return digest_of({"of": parts, "shares": {name: self.share(name) for name in self.of}})

    def sizes(self, split: Split) -> dict[str, int]:
        """EVALUATOR/TASK -> number of examples of the split."""
        return _named({name: part.sizes(split) for name, part in self.asked(split).items()})

    def counts(self, split: Split) -> dict[str, int]:
        """As `sizes`, by the evaluators' own counts."""
        return _named({name: part.counts(split) for name, part in self.asked(split).items()})

    def sources(self, split: Split) -> dict[str, int]:
        """EVALUATOR/TASK -> number of sources, where examples share some."""
        return _named({name: part.sources(split) for name, part in self.asked(split).items()})

    @property
    def metrics(self) -> dict[str, str]:
        """EVALUATOR/TASK -> its metric, of those that count."""
        return _named({name: part.metrics for name, part in self.asked("search").items()})

    @property
    def uneven(self) -> list[str]:
        """EVALUATOR/TASK of those that count and are no plain mean of their examples."""
        return [
            f"{name}/{task}" for name, part in self.asked("search").items() for task in part.uneven
        ]

    @property
    def watched(self) -> list[str]:
        """EVALUATOR/TASK of weight 0, or of an evaluator that has a share of 0."""
        return [
            f"{name}/{task}"
            for name, part in self.of.items()
            for task in (*part.watched, *(part.weights if self.share(name) == 0 else ()))
        ]

    def test_sets(self) -> list[str]:
        """Of the evaluators that count."""
        return [
            f"{name}/{said}"
            for name, part in self.asked("search").items()
            for said in part.test_sets()
        ]

    def check_test_sets(self) -> None:
        """As each of the evaluators that count does.

        Raises:
            ConfigError: of one of them, whose name is in the message.
        """
        for name, part in self.asked("search").items():
            with about(f"of.{name}"):
                part.check_test_sets()

    def check_data(self) -> list[str]:
        """What the evaluators say of theirs.

        Raises:
            ConfigError: of one of them, whose name is in the message.
        """
        said = []
        for name, part in self.of.items():
            with about(f"of.{name}"):
                said += [f"{name}/{line}" for line in part.check_data()]
        return said
