"""What a task file would run, told from its text before lm-eval or a data library sees it.

Files that lm-eval itself ships are trusted as the package is, but for metrics that neither it nor
the file has: those are code that a third library looks for, in the working directory first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evomerge.evaluators.lm_eval.task_files import TaskFile
from evomerge.evaluators.lm_eval.task_index import packaged

__all__ = ["code_of"]

_KEYS = ("custom_dataset", "use_prompt")
"""Keys that name a function, or prompts of another package or file."""
_PICKLING = ("cache", "generator", "pandas", "spark", "sql")
"""Ways of `datasets` to read data that are no files of text and numbers."""
_DATA = {
    "column_names",
    "data_dir",
    "data_files",
    "delimiter",
    "encoding",
    "field",
    "revision",
    "sample_by",
    "sep",
}
"""Arguments of a data set that can only say where its data are and how they are parted."""
_REGISTERED = re.compile(r"""register_metric\(\s*metric=["']([^"']+)["']""")


def code_of(files: Mapping[str, TaskFile]) -> tuple[str, ...]:
    """What the tasks (name -> file) would run, as a person finds it; each once, in their order."""
    return tuple(dict.fromkeys(code for file in files.values() for code in _code(file)))


def _code(file: TaskFile) -> Iterator[str]:
    keys = file.keys
    if not packaged(file.path):
        yield from (f"!function {name}" for name in file.named)
        yield from (f"{key} in {file.path.name}" for key in _KEYS if keys.get(key) is not None)
        if keys.get("dataset_path") in _PICKLING:
            yield f"dataset_path: {keys['dataset_path']}"
        options = keys.get("dataset_kwargs")
        if isinstance(options, Mapping):
            yield from (f"dataset_kwargs.{key}" for key in options if key not in _DATA)
        elif options is not None:
            yield "dataset_kwargs"
    if "process_results" not in keys:  # a function of the task makes its metrics
        known = {*_known_metrics(), *file.named}  # what a `!function` names stands above
        for metric in _metrics(keys):
            name = str(metric.get("metric"))
            if metric.get("hf_evaluate") or name not in known:
                yield f"metric {name}"


def _metrics(keys: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    listed = keys.get("metric_list")
    for metric in listed if isinstance(listed, list) else []:
        if isinstance(metric, Mapping):
            yield metric


@cache
def _known_metrics() -> frozenset[str]:
    """The metrics that lm-eval itself has, read from its text."""
    spec = find_spec("lm_eval")
    if spec is None or spec.origin is None:
        return frozenset()
    text = (Path(spec.origin).parent / "api" / "metrics.py").read_text(encoding="utf-8")
    return frozenset(_REGISTERED.findall(text))
