"""The lm-eval evaluator's configuration, and the laws that keep a search honest.

Read without lm-eval and without torch, so that a driver can check it; `evaluator` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.base import SPLITS, EvaluatorConfig, Split, digest_of
from evomerge.evaluators.lm_eval import extraction
from evomerge.evaluators.lm_eval.task_files import TaskFile, find_tasks
from evomerge.evaluators.splits import (
    check_distinct,
    check_tasks,
    overlap,
    splits_of,
    tasks_of,
)
from evomerge.plugins import Deferred
from evomerge.value import Value

__all__ = ["LM_EVAL", "Documents", "LmEvalConfig", "Splits", "TaskChoice"]

_NOT_IN_DIGEST = {"include_path", "description", "keep_answers"}

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
        """Whether two parts of the same split share a document."""
        if self.split != other.split:
            return False
        return overlap((self.first, self.end), (other.first, other.end))

    def fits(self, count: int) -> bool:
        """Whether a split of so many documents has all of them, and one at least."""
        return self.first < count and (self.end is None or self.end <= count)

    def __str__(self) -> str:
        if self.first == 0 and self.end is None:
            return f"all of {self.split!r}"
        return f"{self.split!r}[{self.first}:{'' if self.end is None else self.end}]"


class Splits(Value):
    """Which documents the search may see, which choose among its finalists, which judge it."""

    search: Documents
    """What candidates are scored on."""
    validation: Documents | None = None
    """What chooses among the finalists."""
    holdout: Documents
    """What the winner and the baselines are compared on, once."""


class TaskChoice(Value):
    """How a task counts; one of weight 0 is measured on the holdout only: forgetting shows."""

    metric: str
    """One of the task's metrics (`exact_match`, `acc`, ...)."""
    filter: str = "none"
    """The task's filter whose answers are scored."""
    weight: Annotated[float, Field(ge=0)] = 0.0
    """How much the task counts in the objective, beside the others' weights."""
    splits: Splits | None = None
    """Instead of the evaluator's."""


class LmEvalConfig(EvaluatorConfig):
    """Tasks of lm-eval, how they count, and the documents of each split."""

    kind: Literal["lm_eval"] = "lm_eval"
    """lm-eval's benchmark tasks."""
    include_path: str | None = None
    """Folder of task files, relative to the file that names it; null: lm-eval's own catalog."""
    chat_template: bool = False
    """Ask as the model's chat template has it; few-shot examples become turns."""
    system_instruction: str | None = None
    """What stands before each question, as the system's turn where there is a chat template."""
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """Solved examples before each question; null: as each task says."""
    tasks: Mapping[str, TaskChoice]
    """Task -> how it counts."""
    splits: Splits | None = None
    """The documents of each split, for tasks without splits of their own."""
    limits: Mapping[Split, Count] = Field(default_factory=dict)
    """Most documents a task, per split: a sample that `seed` fixes, the same for all candidates."""
    seed: int = 0
    """Of the samples that `limits` draws."""
    allow_test_split: bool = False
    """Search on the `test` split of a hub benchmark all the same."""

    @model_validator(mode="after")
    def _laws(self) -> LmEvalConfig:
        check_tasks(self.tasks, self.splits)
        return self

    def splits_of(self, task: str) -> Splits:
        """The splits that a task's documents come from."""
        splits: Splits = splits_of(task, self.tasks, self.splits)
        return splits

    def tasks_of(self, split: Split) -> list[str]:
        """On the holdout all that have documents; on the others, which choose, those that count."""
        return tasks_of(split, self.tasks, self.splits)

    @property
    def weights(self) -> dict[str, float]:
        """Task -> weight in the objective, those that count."""
        return {name: task.weight for name, task in self.tasks.items() if task.weight > 0}

    @property
    def needs_chat_template(self) -> bool:
        """As `chat_template` says."""
        return self.chat_template

    def lacking(self, split: Split) -> list[str]:
        """Tasks that count and have no documents of the split."""
        return [name for name in self.weights if name not in self.tasks_of(split)]

    def files(self) -> dict[str, TaskFile]:
        """Task -> its file. Raises: ConfigError: an unknown task."""
        return find_tasks(self.tasks, Path(self.include_path) if self.include_path else None)

    def located(self, folder: Path) -> LmEvalConfig:
        """With `include_path` absolute from `folder`, checked against the task and data files.

        Raises:
            ConfigError: a task, metric, filter or split that does not exist, or an example that two
                splits share.
        """
        config = self
        if self.include_path is not None:
            path = str((folder / self.include_path).resolve())
            config = self.model_copy(update={"include_path": path})
        for name, file in config.files().items():
            _check(config, name, file)
        return config

    def digest(self) -> str:
        """64 hexadecimal digits of all that a score depends on; places on a disk are not in it."""
        return digest_of(
            {
                "config": self.model_dump(mode="json", exclude=_NOT_IN_DIGEST),
                "tasks": {name: file.content() for name, file in self.files().items()},
                "lm_eval": version("lm_eval"),
                "extraction": Path(extraction.__file__).read_text(encoding="utf-8"),
            }
        )

    def sizes(self, split: Split) -> dict[str, int]:
        """Task -> how many documents of the split are scored; without those of the hub, or of files
        that are not JSON, or that a task's function filters."""
        files, limit = self.files(), self.limits.get(split)
        sizes = {}
        for name in self.tasks_of(split):
            if "process_docs" not in files[name].keys:
                documents: Documents = getattr(self.splits_of(name), split)
                rows = list(files[name].rows(documents.split))[documents.first : documents.end]
                if rows:
                    sizes[name] = min(len(rows), limit or len(rows))
        return sizes


LM_EVAL = Deferred(LmEvalConfig, "evomerge.evaluators.lm_eval.evaluator:LmEvalEvaluator")


def _check(config: LmEvalConfig, name: str, file: TaskFile) -> None:
    task, splits = config.tasks[name], config.splits_of(name)
    if "class" in file.keys:
        raise ConfigError(f"task {name!r} is written in Python; evomerge runs YAML tasks")
    if file.keys.get("unsafe_code"):
        raise ConfigError(f"task {name!r} runs the code that a model writes; evomerge does not")
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
    rows: list[tuple[Split, str, str]] = []
    for split in SPLITS:
        documents: Documents | None = getattr(splits, split)
        if documents is None:
            continue
        _one_of(f"{split} split", documents.split, tuple(file.data_files), name)
        held = list(file.rows(documents.split))
        if held and "process_docs" not in file.keys and not documents.fits(len(held)):
            raise ConfigError(
                f"task {name!r}: {split} wants documents {documents}, but there are {len(held)}"
            )
        in_range = held[documents.first : documents.end]
        rows += [(split, place, row) for place, row in in_range]
    check_distinct(name, rows)


def _one_of(what: str, got: str, known: tuple[str, ...] | None, task: str) -> None:
    if known is not None and got not in known:
        raise ConfigError(f"task {task!r}: unknown {what} {got!r}; {did_you_mean(got, known)}")
