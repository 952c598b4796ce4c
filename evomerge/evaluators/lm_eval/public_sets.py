"""What of a benchmark's data everybody is judged by: a search on it can claim no score there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.choices import Documents, Splits
from evomerge.evaluators.lm_eval.task_files import TaskFile

__all__ = ["refuse_public_sets", "used_public_sets"]


def used_public_sets(task: str, splits: Splits, files: Sequence[TaskFile]) -> Iterator[str]:
    """A phrase for each split that searches or chooses on public test data.

    Args:
        task: what the phrases call it.
        splits: the task's.
        files: its file; of a group those of its tasks.
    """
    for split in ("search", "validation"):
        documents: Documents | None = getattr(splits, split)
        if documents is None:
            continue
        if judged := [file for file in files if _is_public(file, documents.split)]:
            yield f"{task}: {split} on {documents}{_instead(judged, documents)}"


def refuse_public_sets(named: Sequence[str]) -> None:
    """Refuse a search on them. `named`: the phrases above.

    Raises:
        ConfigError: there are some.
    """
    if named:
        raise ConfigError(
            f"evaluator: {'; '.join(named)}: that is the benchmark's public test set, and a"
            " winner that was found on it can claim no score there; give splits of other data,"
            " or set allow_test_split: true, and every export will say so"
        )


def _is_public(file: TaskFile, split: str) -> bool:
    """Whether a dataset split is what a benchmark of the hub is judged by everywhere: its test
    set, or the validation set of a task that has no test set."""
    return file.on_hub and split in ("test", file.judged_split)


def _instead(judged: Sequence[TaskFile], documents: Documents) -> str:
    """Why a split that is not called a test set is one, of tasks that are judged by it."""
    is_test = documents.split == "test" or any(file.keys.get("test_split") for file in judged)
    return "" if is_test else " (without a test split, it is reported on this one)"
