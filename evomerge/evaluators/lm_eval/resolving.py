"""Tasks as a file names them, made explicit: groups and tags, metrics, filters, splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.lm_eval.choices import Splits, TaskChoice
from evomerge.evaluators.lm_eval.code import code_of
from evomerge.evaluators.lm_eval.data_sets import dataset_sizes
from evomerge.evaluators.lm_eval.default_splits import chosen_splits
from evomerge.evaluators.lm_eval.groups import aggregates, children, leaves
from evomerge.evaluators.lm_eval.task_files import TaskFile, task_file
from evomerge.evaluators.lm_eval.task_index import TaskIndex
from evomerge.trust import require_trust

__all__ = ["Resolver"]


@dataclass(frozen=True)
class Resolver:
    """Makes explicit what a configuration leaves to the task files."""

    index: TaskIndex
    has_splits: bool
    """Whether the evaluator has splits for all tasks."""

    def resolved(self, tasks: Mapping[str, TaskChoice]) -> dict[str, TaskChoice]:
        """The tasks with all that they left out.

        A tag, or a group without a score of its own, is replaced by what it lists: these share its
        weight evenly.

        Raises:
            ConfigError: an unknown name, or a group or data set that cannot be used.
        """
        resolved: dict[str, TaskChoice] = {}
        for name, choice in tasks.items():
            for single, said in self._expanded(name, choice, ()):
                if single not in tasks or single == name:
                    resolved.setdefault(single, self._explicit(single, said))
        return resolved

    def _expanded(
        self, name: str, choice: TaskChoice, above: tuple[str, ...]
    ) -> list[tuple[str, TaskChoice]]:
        index = self.index
        if choice.members or name in index.tasks:
            return [(name, choice)]
        if name not in index:
            raise ConfigError(f"unknown task {name!r}; {did_you_mean(name, index.names)}")
        if name in above:
            raise ConfigError(f"group {name!r} is part of itself")
        if aggregates(name, index):
            return [(name, self._group(name, choice))]
        listed = children(name, index)
        share = choice.model_copy(update={"weight": choice.weight / max(len(listed), 1)})
        return [
            single for child in listed for single in self._expanded(child, share, (*above, name))
        ]

    def _group(self, name: str, choice: TaskChoice) -> TaskChoice:
        """A group's choice with its tasks, and the score that it makes of theirs."""
        known = aggregates(name, self.index)
        made = next((each for each in known if choice.metric in (None, each.metric)), None)
        if made is None:
            names = [each.metric for each in known]
            raise ConfigError(
                f"group {name!r}: unknown metric {choice.metric!r};"
                f" {did_you_mean(str(choice.metric), names)}"
            )
        update = {
            "metric": made.metric,
            "weight_by_size": made.by_size,
            "members": leaves(name, self.index),
        }
        if "filter" not in choice.model_fields_set and made.filter is not None:
            update["filter"] = made.filter
        return _with(choice, update)

    def _explicit(self, name: str, choice: TaskChoice) -> TaskChoice:
        """The choice with metric, filter and splits as the task's file has them."""
        files = {task: self._file(task) for task in choice.members or (name,)}
        require_trust(code_of(files))  # before a library looks for their data
        first = next(iter(files.values()))
        update: dict[str, object] = {}
        if choice.metric is None:
            update["metric"] = first.first_metric
        if "filter" not in choice.model_fields_set and "none" not in first.filters:
            update["filter"] = first.filters[0]
        if choice.splits is None and not self.has_splits:
            update["splits"] = _splits(name, files)
        return _with(choice, update)

    def _file(self, task: str) -> TaskFile:
        if task not in self.index.tasks:
            raise ConfigError(f"unknown task {task!r}; {did_you_mean(task, self.index.tasks)}")
        return task_file(self.index.tasks[task], self.index.root)


def _with(choice: TaskChoice, update: Mapping[str, object]) -> TaskChoice:
    """The choice with some of it replaced, all of it said from then on."""
    return choice.model_copy(update=dict(update))


def _names(task: str, file: TaskFile) -> list[str]:
    """The splits that a task's data set has, as far as they can be told."""
    return list(dataset_sizes(task, file) or ())


def _splits(name: str, files: Mapping[str, TaskFile]) -> Splits:
    """The same splits for all tasks of a group.

    Raises:
        ConfigError: they differ in the splits of their data.
    """
    splits: Splits | None = None
    seen: dict[tuple[str, ...], Splits] = {}
    for task, file in files.items():
        keys = ("dataset_path", "test_split", "validation_split", "training_split", "fewshot_split")
        alike = tuple(str(file.keys.get(key)) for key in keys)
        if alike not in seen:
            seen[alike] = chosen_splits(file, partial(_names, task, file))
        if splits is not None and seen[alike] != splits:
            raise ConfigError(
                f"group {name!r}: its tasks differ in the splits of their data; give the group"
                " splits, or name its tasks one by one"
            )
        splits = seen[alike]
    assert splits is not None
    return splits
