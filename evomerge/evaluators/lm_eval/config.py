"""The lm-eval evaluator's configuration, and the laws that keep a search honest.

Read without lm-eval and without torch, so that a driver can check it; `evaluator` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from evomerge.errors import ConfigError
from evomerge.evaluators.base import SPLITS, EvaluatorConfig, Split, digest_of
from evomerge.evaluators.lm_eval import extraction
from evomerge.evaluators.lm_eval.choices import Count, Documents, Splits, TaskChoice
from evomerge.evaluators.lm_eval.code import code_of
from evomerge.evaluators.lm_eval.data_sets import dataset_sizes, described
from evomerge.evaluators.lm_eval.laws import check_size, check_task
from evomerge.evaluators.lm_eval.public_sets import refuse_public_sets, used_public_sets
from evomerge.evaluators.lm_eval.resolving import Resolver
from evomerge.evaluators.lm_eval.task_files import TaskFile, find_tasks
from evomerge.evaluators.lm_eval.task_index import index_of
from evomerge.evaluators.splits import (
    check_tasks,
    sampled,
    splits_of,
    tasks_of,
    with_weights,
)
from evomerge.plugins import Deferred
from evomerge.reading.files import resolved

__all__ = ["LM_EVAL", "Documents", "LmEvalConfig", "Splits", "TaskChoice"]

_NOT_IN_DIGEST = {"include_path", "description", "keep_answers"}


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
    tasks: Annotated[
        Mapping[str, TaskChoice],
        BeforeValidator(with_weights),
        Field(json_schema_extra={"type": ["object", "array"], "items": {"type": "string"}}),
    ]
    """Task, group or tag -> how it counts; a list of names, where each counts alike."""
    splits: Splits | None = None
    """The documents of each split, for tasks without splits of their own; where both are left out,
    they are chosen by rule (docs/evaluators.md)."""
    limits: Mapping[Split, Count] = Field(default_factory=dict)
    """Most documents a task or a group, per split: a sample that `seed` fixes, the same for all
    candidates."""
    seed: int = 0
    """Of the samples that `limits` draws."""
    decoding_seeds: Annotated[int, Field(ge=1)] = Field(default=1, exclude_if=lambda n: n == 1)
    """How often each example of a task that samples its answers is asked, each time with another
    seed; its score is the mean. Tasks that answer greedily are asked once."""
    allow_test_split: bool = False
    """Search, or choose, on a hub benchmark's own test set all the same; exports say so."""

    @model_validator(mode="after")
    def _laws(self) -> LmEvalConfig:
        check_tasks(self.tasks, self.splits, later=True)
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
    def code(self) -> tuple[str, ...]:
        """What its task files would run; nothing of lm-eval's own catalog."""
        return code_of(self.files())

    @property
    def read_files(self) -> tuple[str, ...]:
        """The folder of its task files, and files of their data and functions outside of it."""
        if self._folder is None:
            return ()
        outside = {
            str(path)
            for file in self.files().values()
            for paths in (file.functions, *file.data_files.values())
            for path in map(resolved, paths)
            if not path.is_relative_to(self._folder)
        }
        return (str(self._folder), *sorted(outside))

    @property
    def needs_chat_template(self) -> bool:
        """As `chat_template` says."""
        return self.chat_template

    @property
    def asks_language(self) -> bool:
        """lm-eval's tasks are of texts."""
        return True

    def lacking(self, split: Split) -> list[str]:
        """Tasks that count and have no documents of the split."""
        return [name for name in self.weights if name not in self.tasks_of(split)]

    def members_of(self, task: str) -> tuple[str, ...]:
        """The tasks of a group in their order, or the one task itself."""
        return self.tasks[task].members or (task,)

    def files(self) -> dict[str, TaskFile]:
        """Task -> its file, of groups their tasks. Raises: ConfigError: an unknown task."""
        names = dict.fromkeys(member for name in self.tasks for member in self.members_of(name))
        return find_tasks(names, self._folder)

    @property
    def _folder(self) -> Path | None:
        return Path(self.include_path) if self.include_path else None

    def located(self, folder: Path) -> LmEvalConfig:
        """With `include_path` absolute from `folder`, groups and what was left out made explicit,
        checked against the task and data files.

        Raises:
            ConfigError: a task, metric, filter or split that does not exist, or an example that two
                splits share.
        """
        config = self
        if self.include_path is not None:
            path = str(resolved(folder / self.include_path))
            config = self.model_copy(update={"include_path": path})
        resolver = Resolver(index_of(config._folder), self.splits is not None)
        tasks = resolver.resolved(self.tasks)
        config = config.model_copy(update={"tasks": tasks})
        check_tasks(tasks, config.splits)
        files = config.files()
        for name, choice in tasks.items():
            splits = config.splits_of(name)
            for member in config.members_of(name):
                check_task(member, files[member], choice, splits, config.num_fewshot)
        if config.decoding_seeds > 1 and not any(file.samples for file in files.values()):
            raise ConfigError(
                f"decoding_seeds: {config.decoding_seeds}, but no task samples its answers"
                " (generation_kwargs with a temperature above 0): all seeds would say the same;"
                " leave it out"
            )
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
        return self._sizes(split, lambda task, file, held: file.count(held))

    def counts(self, split: Split) -> dict[str, int]:
        """As `sizes`, and of data sets on the hub what their descriptions say."""
        return self._sizes(split, described)

    def _sizes(
        self, split: Split, count: Callable[[str, TaskFile, str], int | None]
    ) -> dict[str, int]:
        """`count`: (task, its file, dataset split) -> how many documents there are, if known."""
        files, sizes = self.files(), {}
        for name in self.tasks_of(split):
            documents: Documents = getattr(self.splits_of(name), split)
            members = self.members_of(name)
            counts = [count(member, files[member], documents.split) for member in members]
            known = [count for count in counts if count is not None and documents.fits(count)]
            if len(known) == len(counts):
                sizes[name] = sum(map(len, self.sample(name, split, known)))
        return sizes

    def sources(self, split: Split) -> dict[str, int]:
        """Task -> how many sources its documents come from, of those in JSON files here."""
        files, sources = self.files(), {}
        for name, size in self.sizes(split).items():
            if (field := self.tasks[name].clusters) is None:
                continue
            documents: Documents = getattr(self.splits_of(name), split)
            held = [
                files[member].values(documents.split, field) for member in self.members_of(name)
            ]
            sample = self.sample(name, split, list(map(len, held)))
            names = {
                (member, values[place])
                for member, (values, places) in enumerate(zip(held, sample, strict=True))
                for place in places
            }
            if len(names) < size:
                sources[name] = len(names)
        return sources

    @property
    def metrics(self) -> dict[str, str]:
        """Task -> its metric, of those that count."""
        named = {name: self.tasks[name].metric for name in self.weights}
        return {name: metric for name, metric in named.items() if metric is not None}

    @property
    def uneven(self) -> list[str]:
        """Tasks that count whose files say that their value is no mean of documents' scores, and
        groups that weigh their tasks evenly."""
        files, named = self.files(), self.metrics
        return [
            name
            for name in self.weights
            if (self.tasks[name].members and not self.tasks[name].weight_by_size)
            or any(
                files[member].aggregation(named.get(name, files[member].first_metric))
                not in ("mean", None)
                for member in self.members_of(name)
            )
        ]

    @property
    def watched(self) -> list[str]:
        """Tasks of weight 0."""
        return [name for name in self.tasks if name not in self.weights]

    def test_sets(self) -> list[str]:
        """The tasks that are searched, or choose the winner, on their benchmark's own test set."""
        files = self.files()
        return [
            said
            for name in self.weights
            for said in used_public_sets(
                name, self.splits_of(name), [files[member] for member in self.members_of(name)]
            )
        ]

    def check_test_sets(self) -> None:
        """Refuse them, unless `allow_test_split` says otherwise.

        Raises:
            ConfigError: a task that counts is searched, or chooses, on its own test set.
        """
        if not self.allow_test_split:
            refuse_public_sets(self.test_sets())

    def sample(self, task: str, split: Split, counts: Sequence[int]) -> list[list[int]]:
        """The numbers of the documents that are scored, of a task or of each task of a group.

        A limit is drawn from all documents of a group, so that its tasks keep their shares; of a
        group that weighs them evenly, from each task alike, at least one.

        Args:
            counts: how many documents each has in its dataset split.
        """
        documents: Documents = getattr(self.splits_of(task), split)
        places = [documents.places(count) for count in counts]
        limit, members = self.limits.get(split), self.tasks[task].members
        if not members or not self.tasks[task].weight_by_size:
            each = limit if limit is None or not members else max(1, limit // len(members))
            return [
                sampled(held, each, seed=self.seed, task=name, split=split)
                for name, held in zip(self.members_of(task), places, strict=True)
            ]
        total = range(sum(map(len, places)))
        drawn = set(sampled(total, limit, seed=self.seed, task=task, split=split))
        numbers = iter(total)
        return [[place for place in held if next(numbers) in drawn] for held in places]

    def check_data(self) -> list[str]:
        """Which documents of a data set on the hub each split has, a line for each task.

        Raises:
            ConfigError: a data set cannot be had, lacks a split, or has fewer documents than are
                wanted.
        """
        files, said = self.files(), []
        for name, choice in self.tasks.items():
            splits = self.splits_of(name)
            for member in self.members_of(name):
                sizes = dataset_sizes(member, files[member])
                for split in SPLITS if sizes is not None else ():
                    documents: Documents | None = getattr(splits, split)
                    if documents is not None:
                        check_size(member, split, documents, sizes or {})
            if any(files[member].on_hub for member in self.members_of(name)):
                several = f" of {len(choice.members)} tasks" if choice.members else ""
                said.append(
                    f"{name}: {choice.metric} (filter {choice.filter}){several}; search"
                    f" {splits.search}, validation {splits.validation or 'none'}, holdout"
                    f" {splits.holdout}"
                )
            if self.decoding_seeds == 1 and any(files[m].samples for m in self.members_of(name)):
                said.append(
                    f"{name}: answers are sampled, with one seed each; decoding_seeds: 4 asks four"
                    " times and takes the mean, which halves that part of the noise"
                )
        return said


LM_EVAL = Deferred(LmEvalConfig, "evomerge.evaluators.lm_eval.evaluator:LmEvalEvaluator")
