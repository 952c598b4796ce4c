"""What is known of a task's data set without reading its documents: splits and their sizes.

Files beside the task are read; of a data set on the hub its description is asked for, through the
package `datasets`, which finds the copy on this machine where there is no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.task_files import TaskFile
from evomerge.wording import in_one_line

__all__ = ["dataset_sizes", "described"]

Sizes = Mapping[str, int | None]


def dataset_sizes(task: str, file: TaskFile) -> Sizes | None:
    """Dataset split -> its number of documents, None where that is not known.

    None where nothing can be said: the task makes its data itself, or `datasets` is not installed.

    Raises:
        ConfigError: the data set is neither on this machine nor within reach.
    """
    if not file.on_hub:
        return {split: file.count(split) for split in file.data_files}
    path = file.keys.get("dataset_path")
    if not isinstance(path, str) or find_spec("datasets") is None:
        return None
    name = file.keys.get("dataset_name")
    options = file.keys.get("dataset_kwargs") or {}
    known = {key: options[key] for key in ("data_dir", "revision") if key in options}
    try:
        return _described(path, None if name is None else str(name), tuple(sorted(known.items())))
    except Exception as problem:  # noqa: BLE001 - of several libraries, each with errors of its own
        said = in_one_line(problem).rstrip(".")
        full = f"{path} ({name})" if name else path
        raise ConfigError(
            f"task {task!r}: its data set {full} cannot be had here ({said}); with a network it is"
            f' loaded once by: python -c "import datasets; datasets.load_dataset({_quoted(path)}'
            f'{f", {_quoted(str(name))}" if name else ""})"'
        ) from None


def described(task: str, file: TaskFile, split: str) -> int | None:
    """How many documents a dataset split has; None where a function of the task chooses among them,
    or that is not known.

    Raises:
        ConfigError: the data set is neither on this machine nor within reach.
    """
    return None if file.is_filtered else (dataset_sizes(task, file) or {}).get(split)


@cache
def _described(path: str, name: str | None, options: tuple[tuple[str, Any], ...]) -> Sizes:
    import datasets
    from datasets.utils.logging import set_verbosity_error

    set_verbosity_error()
    builder = datasets.load_dataset_builder(path, name, **dict(options))
    if builder.info.splits:
        # Sizes are 0 in descriptions that do not say them.
        return {
            str(split): told.num_examples or None for split, told in builder.info.splits.items()
        }
    return dict.fromkeys(map(str, datasets.get_dataset_split_names(path, name, **dict(options))))


def _quoted(text: str) -> str:
    return f"'{text}'"
