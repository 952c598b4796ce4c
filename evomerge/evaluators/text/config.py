"""The text evaluator's configuration: files, what of them each split has, and how it counts.

Read without torch and without a tokenizer: windows are cut by bytes, so the driver knows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from evomerge.errors import ConfigError
from evomerge.evaluators.base import SPLITS, EvaluatorConfig, Split, digest_of
from evomerge.evaluators.splits import (
    check_distinct,
    check_tasks,
    overlap,
    sampled,
    splits_of,
    tasks_of,
    with_weights,
)
from evomerge.evaluators.text.windows import Document, Unit, Window, read_documents, sources_of
from evomerge.reading.files import LARGE, read_bytes, resolved
from evomerge.value import Value

__all__ = ["TextConfig", "TextRange", "TextSplits", "TextTask"]

_DEFINITION = 1
"""Of the scores: it changes when the same files and settings are scored in another way."""

_NOT_IN_DIGEST = {"tasks", "splits", "description", "keep_answers"}

Count = Annotated[int, Field(ge=1)]


class TextRange(Value):
    """Documents [first, end) of some files, counted from 0 over all of them.

    In YAML a file's name alone, or a list of names, means all of their documents.
    """

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": ["string", "array"],
        "items": {"type": "string"},
        "description": "A file, or a list of files, with all of their documents.",
    }

    files: Annotated[tuple[str, ...], Field(json_schema_extra={"type": ["string", "array"]})]
    """Text files, or JSON Lines files (`.jsonl`); relative to the file that names them."""
    first: Annotated[int, Field(ge=0)] = 0
    """The first document's number."""
    end: Count | None = None
    """The number after the last document's; null: up to the end."""

    @model_validator(mode="before")
    @classmethod
    def _names(cls, data: Any) -> Any:
        given = {"files": data} if isinstance(data, str | list) else data
        if isinstance(given, Mapping) and isinstance(given.get("files"), str):
            return {**given, "files": [given["files"]]}
        return given

    @model_validator(mode="after")
    def _some(self) -> TextRange:
        if not self.files or (self.end is not None and self.first >= self.end):
            raise ValueError(f"{self} has no documents")
        return self

    def meets(self, other: TextRange) -> bool:
        """Whether a document is in both."""
        if self.files == other.files:
            return overlap((self.first, self.end), (other.first, other.end))
        return not set(self.files).isdisjoint(other.files)

    def __str__(self) -> str:
        names = ", ".join(Path(file).name for file in self.files)
        if self.first == 0 and self.end is None:
            return f"all of {names}"
        return f"{names}[{self.first}:{'' if self.end is None else self.end}]"


class TextSplits(Value):
    """Which text the search may see, which chooses among its finalists, which judges it."""

    search: TextRange
    """What candidates are scored on."""
    validation: TextRange | None = None
    """What chooses among the finalists."""
    holdout: TextRange
    """What the winner and the baselines are compared on, once."""


class TextTask(Value):
    """How a body of text counts; one of weight 0 is measured on the holdout only."""

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "null",
        "description": "A task by its name alone.",
    }

    metric: Literal["bits_per_byte", "perplexity"] = "bits_per_byte"
    """bits_per_byte compares models of any tokenizer; perplexity is by token. Lower is better."""
    weight: Annotated[float, Field(ge=0)] = 0.0
    """How much the task counts in the objective, beside the others' weights. Where no task says
    one, each counts 1."""
    splits: TextSplits | None = None
    """Instead of the evaluator's."""


class TextConfig(EvaluatorConfig):
    """How well a model predicts text: bits per byte or perplexity of text and JSON Lines files."""

    kind: Literal["text"] = "text"
    """Text files, scored by the probability that the model gives them."""
    tasks: Annotated[
        Mapping[str, TextTask],
        BeforeValidator(with_weights),
        Field(json_schema_extra={"type": ["object", "array"], "items": {"type": "string"}}),
    ]
    """Task -> how it counts; a list of names, where each counts alike."""
    splits: TextSplits | None = None
    """The files of each split, for tasks without splits of their own."""
    field: str = "text"
    """The key that holds the text in a row of a JSON Lines file; each row is a document."""
    documents: Unit = "file"
    """What a document is in other files: the file, its paragraphs (between blank lines) or its
    lines."""
    window_bytes: Annotated[int, Field(ge=16)] = 2048
    """Longest example, in bytes of UTF-8: a longer document is cut before white space."""
    context_tokens: Count = 512
    """Tokens of the document before a window that the model is shown with it, at most half of the
    engine's max_length."""
    limits: Mapping[Split, Count] = Field(default_factory=dict)
    """Most windows a task, per split: a sample that `seed` fixes, the same for all candidates."""
    seed: int = 0
    """Of the samples that `limits` draws."""

    @model_validator(mode="after")
    def _laws(self) -> TextConfig:
        check_tasks(self.tasks, self.splits)
        return self

    @property
    def metrics(self) -> dict[str, str]:
        """Task -> its metric."""
        return {name: self.tasks[name].metric for name in self.weights}

    @property
    def weights(self) -> dict[str, float]:
        """Task -> weight in the objective, those that count."""
        return {name: task.weight for name, task in self.tasks.items() if task.weight > 0}

    @property
    def uneven(self) -> list[str]:
        """All that count: windows are weighed by their bytes or tokens."""
        return list(self.weights)

    @property
    def watched(self) -> list[str]:
        """Tasks of weight 0."""
        return [name for name in self.tasks if name not in self.weights]

    @property
    def asks_language(self) -> bool:
        """Texts are scored."""
        return True

    @property
    def asks_whole_texts(self) -> bool:
        """Whole texts are."""
        return True

    @property
    def read_files(self) -> tuple[str, ...]:
        """The files of all documents."""
        choices = (self.splits, *(task.splits for task in self.tasks.values()))
        ranges = (getattr(splits, name) for splits in choices if splits for name in SPLITS)
        return tuple(dict.fromkeys(file for texts in ranges if texts for file in texts.files))

    def lacking(self, split: Split) -> list[str]:
        """Tasks that count and have no documents of the split."""
        have = tasks_of(split, self.tasks, self.splits)
        return [name for name in self.weights if name not in have]

    def located(self, folder: Path) -> TextConfig:
        """With the files' paths absolute from `folder`, and the files read.

        Raises:
            ConfigError: a file is missing or has no text where the configuration says, or a
                document stands in two splits.
        """
        tasks = {
            name: task.model_copy(update={"splits": _located(task.splits, folder)})
            for name, task in self.tasks.items()
        }
        config = self.model_copy(update={"tasks": tasks, "splits": _located(self.splits, folder)})
        for name in config.tasks:
            config._check(name)
        return config

    def digest(self) -> str:
        """64 hexadecimal digits of the settings and of the files' contents."""
        tasks = {}
        for name, task in self.tasks.items():
            splits = splits_of(name, self.tasks, self.splits)
            ranges = {split: getattr(splits, split) for split in SPLITS}
            tasks[name] = {
                "metric": task.metric,
                "weight": task.weight,
                "splits": {split: _content(texts) for split, texts in ranges.items() if texts},
            }
        settings = self.model_dump(mode="json", exclude=_NOT_IN_DIGEST)
        return digest_of({"definition": _DEFINITION, "settings": settings, "tasks": tasks})

    def sizes(self, split: Split) -> dict[str, int]:
        """Task -> how many windows of the split are scored."""
        return {
            name: len(self.windows(name, split))
            for name in tasks_of(split, self.tasks, self.splits)
        }

    def sources(self, split: Split) -> dict[str, int]:
        """Task -> how many documents its windows are of, where some share one."""
        sources = {}
        for name in tasks_of(split, self.tasks, self.splits):
            named = sources_of([document for document, _ in self.windows(name, split)])
            if named is not None:
                sources[name] = len(set(named))
        return sources

    def windows(self, task: str, split: Split) -> list[tuple[Document, Window]]:
        """The examples of a task, in order.

        Raises:
            ConfigError: the files cannot be read, or have fewer documents than are wanted.
        """
        windows = [
            (document, window)
            for document in self._documents(task, split)
            for window in document.windows(self.window_bytes)
        ]
        if not windows:
            raise ConfigError(f"task {task!r}: the documents of {split} have no text")
        limit = self.limits.get(split)
        places = sampled(range(len(windows)), limit, seed=self.seed, task=task, split=split)
        return [windows[place] for place in places]

    def _documents(self, task: str, split: Split) -> list[Document]:
        texts: TextRange = getattr(splits_of(task, self.tasks, self.splits), split)
        documents = read_documents(
            [Path(file) for file in texts.files], unit=self.documents, field=self.field
        )
        if texts.first >= len(documents) or (texts.end or 0) > len(documents):
            raise ConfigError(
                f"task {task!r}: {split} wants documents {texts}, but there are {len(documents)}"
            )
        return documents[texts.first : texts.end]

    def _check(self, task: str) -> None:
        """Each split has text, and no document stands in two."""
        rows: list[tuple[Split, str, str]] = []
        for split in SPLITS:
            if getattr(splits_of(task, self.tasks, self.splits), split) is not None:
                self.windows(task, split)
                rows += [
                    (split, document.where, document.text)
                    for document in self._documents(task, split)
                ]
        check_distinct(task, rows)


def _located(splits: TextSplits | None, folder: Path) -> TextSplits | None:
    if splits is None:
        return None
    ranges = {split: getattr(splits, split) for split in SPLITS}
    return splits.model_copy(
        update={
            split: texts.model_copy(
                update={"files": tuple(str(resolved(folder / file)) for file in texts.files)}
            )
            for split, texts in ranges.items()
            if texts is not None
        }
    )


def _content(texts: TextRange) -> dict[str, Any]:
    """What a range says, its files by their contents."""
    files = [
        [path.suffix, hashlib.sha256(read_bytes(path, most=LARGE, error=ConfigError)).hexdigest()]
        for path in map(Path, texts.files)
    ]
    return {"files": files, "first": texts.first, "end": texts.end}
