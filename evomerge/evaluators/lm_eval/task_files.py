"""lm-eval task files as plain data, read without lm-eval (and without running their functions)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.lm_eval.task_index import index_of, packaged
from evomerge.reading.bounded_yaml import BoundedLoader
from evomerge.reading.files import LARGE, is_file, read_bytes, resolved
from evomerge.reading.files import read_text as read_text_file
from evomerge.reading.json_text import parse_json
from evomerge.recipe.yaml_reading import read_text, syntax_fault

__all__ = ["TaskFile", "find_tasks", "load_keys", "task_file"]

_LOCAL_BUILDERS = ("json", "csv", "parquet", "text", "arrow")
_METRICS = {"generate_until": "exact_match", "loglikelihood_rolling": "word_perplexity"}
"""Output type -> its metric where a task lists none; `acc` of the others (lm-eval's registry)."""
_AGGREGATIONS = {
    **dict.fromkeys(("word_perplexity", "byte_perplexity"), "weighted_perplexity"),
    **{name: name for name in ("bits_per_byte", "brier_score", "perplexity")},
    **{name: name for name in ("bleu", "chrf", "f1", "mcc", "ter")},
}
"""Metric -> how it becomes a task's where the task does not say, other than by the mean (lm-eval's
registry)."""
_ROWS = 10_000_000
"""Most values of a file of examples."""
_EXAMPLE_SPLITS = ("fewshot_split", "training_split", "validation_split")


@dataclass(frozen=True)
class TaskFile:
    """One task of a folder: its resolved keys, and the files that it is made of."""

    path: Path
    keys: Mapping[str, Any]
    functions: tuple[Path, ...]
    """Python files that its `!function` tags name."""
    named: tuple[str, ...] = ()
    """What those tags name, as they spell it."""

    @property
    def metrics(self) -> tuple[str, ...] | None:
        """Names of the metrics, where the file says."""
        listed = self.keys.get("metric_list")
        if listed is None or "process_results" in self.keys:
            return None
        return tuple(str(metric["metric"]) for metric in listed)

    @property
    def first_metric(self) -> str:
        """The metric that comes first; lm-eval's own choice where the task names none."""
        listed = self.keys.get("metric_list")
        if listed:
            return str(listed[0]["metric"])
        return _METRICS.get(str(self.keys.get("output_type", "generate_until")), "acc")

    def aggregation(self, metric: str) -> str | None:
        """How a metric of the documents becomes the task's: `mean`, or another by its name; None
        where a function does, or nothing is known."""
        own: dict[str, Any] = {
            str(listed["metric"]): listed.get("aggregation")
            for listed in self.keys.get("metric_list") or ()
        }
        said = own.get(metric)
        if said is None:
            return _AGGREGATIONS.get(metric)
        return None if said in self.named else str(said).replace("nanmean", "mean")

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the task's filters; `none` where it has no filter."""
        return tuple(str(f["name"]) for f in self.keys.get("filter_list") or [{"name": "none"}])

    @property
    def on_hub(self) -> bool:
        """Whether the data set comes from the hub rather than from local files."""
        return self.keys.get("dataset_path") not in _LOCAL_BUILDERS

    @property
    def judged_split(self) -> str | None:
        """The dataset split that lm-eval scores: the test split, of a task without one the
        validation split (hellaswag's test labels are hidden); None where it names neither."""
        return self.keys.get("test_split") or self.keys.get("validation_split")

    @property
    def is_filtered(self) -> bool:
        """Whether a function of the task changes its documents before they are asked."""
        return "process_docs" in self.keys

    @property
    def samples(self) -> bool:
        """Whether its answers are drawn by chance, so that another seed gives others."""
        if self.keys.get("output_type", "generate_until") != "generate_until":
            return False
        settings = self.keys.get("generation_kwargs") or {}
        return settings.get("do_sample") is not False and bool(settings.get("temperature"))

    def examples_from(self, shots: int | None) -> str | None:
        """The dataset split that few-shot examples come from, by lm-eval's rule; "" where they
        would come from the documents under test, None where there are no such examples."""
        shown = self.keys.get("fewshot_config") or {}
        if not (self.keys.get("num_fewshot") if shots is None else shots) or "samples" in shown:
            return None
        places = (shown.get("split"), *map(self.keys.get, _EXAMPLE_SPLITS))
        return next((str(place) for place in places if place), "")

    @cached_property
    def data_files(self) -> dict[str, tuple[Path, ...]]:
        """Dataset split -> files; a path in the YAML is relative to the YAML.

        Raises:
            ConfigError: a file that does not exist.
        """
        declared = (self.keys.get("dataset_kwargs") or {}).get("data_files") or {}
        by_split = declared if isinstance(declared, Mapping) else {"train": declared}
        by_name = {}
        for split, files in by_split.items():
            listed = files if isinstance(files, list) else [files]
            paths = tuple(resolved(self.path.parent / file) for file in listed)
            for path in paths:
                if not is_file(path):
                    raise ConfigError(f"{self.path}: data file {path} does not exist")
            by_name[str(split)] = paths
        return by_name

    def rows(self, split: str) -> Iterator[tuple[str, str]]:
        """(file:line, canonical text) of each example, for splits of JSON lines; else nothing."""
        if self.keys.get("dataset_path") != "json":
            return
        for path in self.data_files.get(split, ()):
            for line, row in _json_rows(path):
                yield f"{path.name}:{line}", json.dumps(row, sort_keys=True)

    def values(self, split: str, field: str) -> list[str]:
        """What a field of each example says, as JSON; of splits of JSON lines."""
        return [json.dumps(json.loads(text).get(field)) for _, text in self.rows(split)]

    def count(self, split: str) -> int | None:
        """How many documents a split has; None where that takes more than counting lines."""
        if self.keys.get("dataset_path") != "json" or self.is_filtered:
            return None
        return sum(1 for _ in self.rows(split))

    def content(self) -> dict[str, str]:
        """SHA-256 by part: the keys, each function file, each data file."""
        keys = json.dumps(self.keys, sort_keys=True, default=str)
        parts = {"functions": self.functions} | self.data_files
        return {"keys": _sha256(keys.encode())} | {
            f"{part} {index}": _sha256(read_bytes(path, most=LARGE, error=ConfigError))
            for part, paths in parts.items()
            for index, path in enumerate(paths)
        }


def find_tasks(names: Iterable[str], folder: Path | None) -> dict[str, TaskFile]:
    """The named tasks of `folder` and below, or (None) of lm-eval's own catalog.

    Raises:
        ConfigError: no such folder or task, or a file that is not YAML.
    """
    index = index_of(folder)
    tasks = {}
    for name in names:
        if name not in index.tasks:
            raise ConfigError(f"unknown task {name!r}; {did_you_mean(name, index.names)}")
        tasks[name] = task_file(index.tasks[name], index.root)
    return tasks


def task_file(path: Path, root: Path) -> TaskFile:
    """The task in a file, which includes nothing outside the folder `root`.

    Raises:
        ConfigError: the file is not YAML, or includes what it may not.
    """
    loaded = _load(path, root)
    return TaskFile(path, loaded.keys, tuple(loaded.functions), tuple(loaded.named))


def load_keys(path: Path, root: Path) -> dict[str, Any]:
    """A file's keys over those of what it includes; raises as `task_file`."""
    return _load(path, root).keys


class _Loaded(NamedTuple):
    """A file's keys over those of what it includes; the files and names of its functions."""

    keys: dict[str, Any]
    functions: list[Path]
    named: list[str]


def _load(path: Path, root: Path, above: tuple[Path, ...] = ()) -> _Loaded:
    """A file as lm-eval resolves it. `above`: the files that include it, the task's first."""
    functions: list[Path] = []
    named: list[str] = []

    class Loader(BoundedLoader):
        """Keeps `!function module.name` as its text."""

    def function(loader: yaml.SafeLoader, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ConfigError(f"{path}: !function names one function, as !function module.name")
        spelled = str(loader.construct_scalar(node))
        source = path.parent / (spelled.rpartition(".")[0].replace(".", "/") + ".py")
        if is_file(source):
            functions.append(source)
        named.append(spelled)
        return spelled

    Loader.add_constructor("!function", function)
    text = read_text(path)
    try:
        loaded = yaml.load(text, Loader=Loader)
    except yaml.YAMLError as problem:
        raise syntax_fault(path, problem, text) from None
    own = dict(loaded) if isinstance(loaded, Mapping) else {}
    included = own.pop("include", None) or []
    keys: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included]:
        more = _load(_included(name, path, root, above), root, (*above, path))
        keys |= more.keys
        functions += more.functions
        named += more.named
    return _Loaded(keys | own, functions, named)


def _included(name: Any, path: Path, root: Path, above: tuple[Path, ...]) -> Path:
    """The file that `path` includes.

    Raises:
        ConfigError: it is no name, it includes itself, or it lies outside `root`.
    """
    if not isinstance(name, str):
        raise ConfigError(f"{path}: include: the name of a file is wanted, got {name!r}")
    target = path.parent / name
    seen = {resolved(file) for file in (*above, path)}
    if resolved(target) in seen:
        raise ConfigError(f"{path}: include: {name} includes itself")
    if not (resolved(target).is_relative_to(resolved(root)) or packaged(target)):
        raise ConfigError(f"{path}: include: {name} lies outside {root}; put a copy into it")
    return target


def _json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    text = read_text_file(path, most=LARGE, error=ConfigError)
    if text.lstrip().startswith("["):
        rows = parse_json(
            text.encode(), origin=str(path), values=_ROWS, constants=True, error=ConfigError
        )
        yield from enumerate(rows, start=1)
        return
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            where = f"{path}:{line}"
            yield line, parse_json(row.encode(), origin=where, constants=True, error=ConfigError)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
