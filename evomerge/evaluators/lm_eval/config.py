"""The lm-eval evaluator's configuration, and the laws that keep a search honest.

Read without lm-eval and without torch, so that a driver can check it; `harness` runs it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.base import SPLITS, Split
from evomerge.evaluators.lm_eval import extraction
from evomerge.evaluators.lm_eval.task_files import TaskFile, find_tasks
from evomerge.value import Value, parse

__all__ = ["Documents", "LmEvalConfig", "Splits", "TaskChoice", "read"]

Count = Annotated[int, Field(ge=1)]


class Documents(Value):
    """Documents [first, end) of a dataset split, counted from 0; without an end, all from first on.

    In YAML a name alone means the whole split.
    """

    split: str
    first: Annotated[int, Field(ge=0)] = 0
    end: Count | None = None

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
        if self.split != other.split:
            return False
        ends = [float("inf") if end is None else end for end in (self.end, other.end)]
        return max(self.first, other.first) < min(ends)

    def __str__(self) -> str:
        if self.first == 0 and self.end is None:
            return f"all of {self.split!r}"
        return f"{self.split!r}[{self.first}:{'' if self.end is None else self.end}]"


class Splits(Value):
    """Which documents the search may see, which choose among its finalists, which judge it."""

    search: Documents
    validation: Documents | None = None
    holdout: Documents


class TaskChoice(Value):
    """How a task counts; one of weight 0 is measured on the holdout only: forgetting shows."""

    metric: str
    filter: str = "none"
    weight: Annotated[float, Field(ge=0)] = 0.0
    splits: Splits | None = None
    """Instead of the evaluator's."""


class LmEvalConfig(Value):
    """Tasks of lm-eval, how they count, and the documents of each split."""

    kind: Literal["lm_eval"] = "lm_eval"
    description: str = ""
    include_path: str | None = None
    """Folder of task files; None: lm-eval's own catalog. `read` makes it absolute."""
    chat_template: bool = False
    system_instruction: str | None = None
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """None: as each task says."""
    tasks: Mapping[str, TaskChoice]
    splits: Splits | None = None
    limits: Mapping[Split, Count] = Field(default_factory=dict)
    """Most documents a task, per split: a sample that `seed` fixes, the same for all candidates."""
    seed: int = 0
    allow_test_split: bool = False

    @model_validator(mode="after")
    def _laws(self) -> LmEvalConfig:
        if not any(task.weight > 0 for task in self.tasks.values()):
            raise ValueError("at least one task needs a weight > 0: the search maximises their sum")
        for name in self.tasks:
            splits = self.splits_of(name)
            for one, other in combinations(SPLITS, 2):
                a, b = getattr(splits, one), getattr(splits, other)
                if a and b and a.meets(b):
                    raise ValueError(
                        f"task {name!r}: {one} ({a}) and {other} ({b}) overlap; "
                        "give each its own documents"
                    )
        return self

    def splits_of(self, task: str) -> Splits:
        splits = self.tasks[task].splits or self.splits
        if splits is None:
            raise ValueError(f"task {task!r} has no splits; give them there or for all tasks")
        return splits

    def tasks_of(self, split: Split) -> list[str]:
        """On the holdout all that have documents; on the others, which choose, those that count."""
        return [
            name
            for name, task in self.tasks.items()
            if getattr(self.splits_of(name), split) and (task.weight > 0 or split == "holdout")
        ]

    @property
    def weights(self) -> dict[str, float]:
        """Task -> weight in the objective, those that count."""
        return {name: task.weight for name, task in self.tasks.items() if task.weight > 0}

    def files(self) -> dict[str, TaskFile]:
        """Task -> its file. Raises: ConfigError: an unknown task."""
        return find_tasks(self.tasks, Path(self.include_path) if self.include_path else None)

    def digest(self) -> str:
        """64 hexadecimal digits of all that a score depends on; places on a disk are not in it."""
        said = self.model_dump(mode="json", exclude={"include_path", "description"})
        content = {
            "config": said,
            "tasks": {name: file.content() for name, file in self.files().items()},
            "lm_eval": version("lm_eval"),
            "extraction": Path(extraction.__file__).read_text(encoding="utf-8"),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read(data: object, *, folder: Path, origin: str) -> LmEvalConfig:
    """The evaluator that plain data describes, its paths relative to `folder`.

    Raises:
        ConfigError: it breaks a law; the sentence starts with `origin`.
    """
    config = parse(LmEvalConfig, data, origin=origin)
    if config.include_path is not None:
        path = str((folder / config.include_path).resolve())
        config = config.model_copy(update={"include_path": path})
    try:
        for name, file in config.files().items():
            _check(config, name, file)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: {problem}") from None
    return config


def _check(config: LmEvalConfig, name: str, file: TaskFile) -> None:
    task, splits = config.tasks[name], config.splits_of(name)
    _one_of("metric", task.metric, file.metrics, name)
    _one_of("filter", task.filter, file.filters, name)
    if file.on_hub and splits.search.split == "test" and not config.allow_test_split:
        raise ConfigError(
            f"task {name!r}: search on the benchmark's test split makes its score worthless as a "
            "claim; search on another split, or set allow_test_split: true"
        )
    examples = file.examples_from(config.num_fewshot)
    if examples in ("", splits.holdout.split):
        raise ConfigError(
            f"task {name!r}: its few-shot examples would come from the documents that judge; "
            "set num_fewshot: 0, or a fewshot_split in the task file"
        )
    if not file.data_files:
        return
    seen: dict[str, tuple[str, str]] = {}
    for split in SPLITS:
        documents: Documents | None = getattr(splits, split)
        if documents is None:
            continue
        _one_of(f"{split} split", documents.split, tuple(file.data_files), name)
        for place, row in list(file.rows(documents.split))[documents.first : documents.end]:
            before = seen.setdefault(row, (split, place))
            if before[0] != split:
                raise ConfigError(
                    f"task {name!r}: {place} ({split}) equals {before[1]} ({before[0]}); "
                    "an example may be in one split only"
                )


def _one_of(what: str, got: str, known: tuple[str, ...] | None, task: str) -> None:
    if known is not None and got not in known:
        raise ConfigError(f"task {task!r}: unknown {what} {got!r}; {did_you_mean(got, known)}")
