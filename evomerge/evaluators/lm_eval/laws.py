"""What a task must keep to: its metric, filter and splits exist, and no document judges twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.base import SPLITS, Split
from evomerge.evaluators.lm_eval.choices import Documents, Splits, TaskChoice
from evomerge.evaluators.lm_eval.task_files import TaskFile
from evomerge.evaluators.splits import check_distinct
from evomerge.reading.json_text import parse_json

__all__ = ["check_size", "check_task"]


def check_task(
    name: str, file: TaskFile, choice: TaskChoice, splits: Splits, shots: int | None
) -> None:
    """Check a task, or a task of a group, against its file and its local data.

    Raises:
        ConfigError: a metric, filter or split that does not exist, few-shot examples from the
            holdout, or an example that two splits share.
    """
    if "class" in file.keys:
        raise ConfigError(f"task {name!r} is written in Python; evomerge runs YAML tasks")
    if file.keys.get("unsafe_code"):
        raise ConfigError(f"task {name!r} runs the code that a model writes; evomerge does not")
    if choice.metric is not None:
        _reported(choice.metric, file.metrics, name)
    _one_of("filter", choice.filter, file.filters, name)
    examples = file.examples_from(shots)
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
        check_size(name, split, documents, {documents.split: file.count(documents.split)})
        chosen = [held[place] for place in documents.places(len(held))]
        if choice.clusters is not None and not file.is_filtered:  # which may add it
            _check_field(name, choice.clusters, chosen)
        rows += [(split, *row) for row in chosen]
    check_distinct(name, rows)


def check_size(
    task: str, split: Split, documents: Documents, sizes: Mapping[str, int | None]
) -> None:
    """Check that the data has the documents that a split wants; `sizes`: dataset split -> number.

    Raises:
        ConfigError: the data has no such split, or fewer documents.
    """
    if documents.split not in sizes:
        raise ConfigError(
            f"task {task!r}: {split} wants documents {documents}, and its data has no such split;"
            f" {did_you_mean(documents.split, list(sizes))}"
        )
    count = sizes[documents.split]
    if count is not None and not documents.fits(count):
        raise ConfigError(
            f"task {task!r}: {split} wants documents {documents}, but there are {count}"
        )


def _check_field(task: str, field: str, rows: Sequence[tuple[str, str]]) -> None:
    """Every document says its source. `rows`: (file:line, JSON) of each."""
    for where, text in rows:
        keys = list(parse_json(text.encode(), origin=where, constants=True, error=ConfigError))
        if field not in keys:
            raise ConfigError(
                f"task {task!r}: clusters: {where} has no field {field!r};"
                f" {did_you_mean(field, keys)}"
            )


def _reported(metric: str, known: tuple[str, ...] | None, task: str) -> None:
    if known is None or metric in known:
        return
    hint = did_you_mean(metric, known)
    if hint.startswith("did you mean"):
        hint += f" It reports {', '.join(sorted(known))}"
    raise ConfigError(f"task {task!r}: unknown metric {metric!r}; {hint}")


def _one_of(what: str, got: str, known: tuple[str, ...] | None, task: str) -> None:
    if known is not None and got not in known:
        raise ConfigError(f"task {task!r}: unknown {what} {got!r}; {did_you_mean(got, known)}")
