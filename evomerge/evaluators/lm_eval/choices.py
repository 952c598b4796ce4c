"""What an evaluator says of its tasks: which documents, which metric, and how much they count."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from evomerge.evaluators.splits import overlap
from evomerge.value import Value

__all__ = ["Count", "Documents", "Splits", "TaskChoice"]

Count = Annotated[int, Field(ge=1)]


class Documents(Value):
    """Documents [first, end) of a dataset split, counted from 0; without an end, all from first on.

    In YAML a name alone means the whole split.
    """

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "The whole of a split of the task's data set.",
    }

    split: str
    """A split of the task's data set."""
    first: Annotated[int, Field(ge=0)] = 0
    """The first document's number, counted from 0."""
    end: Count | None = None
    """The number after the last document's; null: up to the split's end."""
    step: Count = Field(default=1, exclude_if=lambda step: step == 1)
    """2: every other document, from the first on; 3: every third."""

    @model_validator(mode="before")
    @classmethod
    def _name(cls, data: Any) -> Any:
        return {"split": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _range(self) -> Documents:
        if self.end is not None and self.first >= self.end:
            raise ValueError(f"documents [{self.first}, {self.end}) of {self.split!r} are none")
        return self

    def meets(self, other: Documents) -> bool:
        """Whether two parts of the same split may share a document."""
        if self.split != other.split or (self.first - other.first) % math.gcd(
            self.step, other.step
        ):
            return False
        return overlap((self.first, self.end), (other.first, other.end))

    def places(self, count: int) -> range:
        """The numbers of those documents that a split of `count` has."""
        return range(self.first, count if self.end is None else min(self.end, count), self.step)

    def fits(self, count: int) -> bool:
        """Whether a split of `count` documents has all of these, one at least."""
        return self.first < count and (self.end or 0) <= count

    def __str__(self) -> str:
        if self.first == 0 and self.end is None and self.step == 1:
            return f"all of {self.split!r}"
        step = "" if self.step == 1 else f":{self.step}"
        return f"{self.split!r}[{self.first}:{'' if self.end is None else self.end}{step}]"


class Splits(Value):
    """Which documents the search may see, which choose among its finalists, which judge it."""

    search: Documents
    """What candidates are scored on."""
    validation: Documents | None = None
    """What chooses among the finalists."""
    holdout: Documents
    """What the winner and the baselines are compared on, once."""


class TaskChoice(Value):
    """How a task or a group counts; one of weight 0 is measured on the holdout only."""

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "null",
        "description": "A task by its name alone.",
    }

    metric: str | None = None
    """One of the task's metrics (`exact_match`, `acc`, ...); null: the first that its file lists.
    """
    filter: str = "none"
    """The task's filter whose answers are scored; left out: the first of a task that has some."""
    weight: Annotated[float, Field(ge=0)] = 0.0
    """How much the task counts in the objective, beside the others' weights. Where no task says
    one, each counts 1."""
    splits: Splits | None = None
    """Instead of the evaluator's."""
    clusters: str | None = Field(default=None, exclude_if=lambda held: held is None)
    """A field of the task's documents by which those of one source are known: of questions about
    one text its title, say. Intervals and tests then count by source."""
    members: tuple[str, ...] = Field(default=(), exclude_if=lambda members: not members)
    """The tasks of a group, which make one score; of lm-eval's groups they are filled in."""
    weight_by_size: bool = Field(default=True, exclude_if=lambda by_size: bool(by_size))
    """Whether a group's task counts by its number of examples, or as much as any other."""
