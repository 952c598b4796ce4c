"""The working directory of a page's reader: what the page says is there, small."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
import yaml

from evomerge.commands.main import app
from tests.docs.models import Models, Small
from tests.docs.pages import ROOT
from tests.evaluators.task_folder import choice_task, sum_task
from tests.place import Ended, run

__all__ = ["JOB", "NAMES", "Reader", "kind_of", "parsed", "reduced", "whole"]

NAMES = ("base", "json", "math", "spell")
"""Models that pages speak of without saying where they are."""

SPLITS = ("search", "validation", "holdout")
TEXT = {
    "kind": "text",
    "tasks": {"words": {"weight": 1.0}},
    "splits": {split: f"{split}.txt" for split in SPLITS},
}
"""In place of tasks whose data is on the hub, or larger than a test."""

SUMS = {
    "kind": "lm_eval",
    "include_path": "tasks",
    "tasks": {"sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0}},
    "splits": {split: split for split in SPLITS},
}
"""The same where single examples are competed for, which takes scores of at least 0."""

JOB: dict[str, Any] = {
    "name": "of-the-page",
    "sources": {name: {"model": f"models/{name}"} for name in NAMES},
    "space": {
        "kind": "parameter",
        "base": "base",
        "parents": ["json", "math"],
        "method": "task_arithmetic",
        "genes": {"weight": [0, 1]},
    },
    "optimizer": "cma_es",
    "evaluator": TEXT,
    "budget": {"candidates": 12},
    "engine": {"kind": "transformers", "device": "cpu"},
    "cluster": {"kind": "in_process"},
}
"""What a part of a job is a part of, where the page shows no whole one."""

RECIPE: dict[str, Any] = {
    "kind": "merge",
    "method": "linear",
    "inputs": {name: f"models/{name}" for name in ("json", "math")},
    "rules": [{"where": {}, "json": {"weight": 0.5}, "math": {"weight": 0.5}}],
}
OF_ADAPTERS: dict[str, Any] = {
    "kind": "merge",
    "method": "task_arithmetic",
    "base": "base",
    "inputs": {
        "base": "models/base",
        **{name: {"model": "models/base", "adapter": name} for name in ("json", "math")},
    },
    "rules": [{"where": {}, "json": {"weight": 0.5}, "math": {"weight": 0.5}}],
}
MERGEKIT = {
    "merge_method": "task_arithmetic",
    "base_model": "models/base",
    "models": [
        {"model": f"models/{name}", "parameters": {"weight": 0.5}} for name in ("json", "math")
    ],
    "dtype": "float32",
}
EVOLVE = {
    "genome": {
        "models": ["models/json", "models/math"],
        "merge_method": "task_arithmetic",
        "base_model": "models/base",
    },
    "tasks": [{"name": "arc_easy"}],
}
OF_RECIPES = {"merge", "stack", "segments"}
OF_EVALUATORS = {"lm_eval", "text", "python", "mixture"}
INPUTS = ("adapter", "file", "folder", "job", "model", "recipe", "second_moment", "text", "what")
"""Parameters of commands that name what is there already."""


def kind_of(data: dict[str, Any]) -> str:
    """What a block of YAML is: `job`, `recipe`, `evaluator`, or `part` of a job."""
    kind = data.get("kind")
    if kind in OF_RECIPES:
        return "recipe"
    if kind in OF_EVALUATORS:
        return "evaluator"
    return "job" if {"sources", "space"} <= data.keys() else "part"


def whole(part: dict[str, Any]) -> dict[str, Any]:
    """The job that a part of one belongs to."""
    space = part.get("space", {})
    breeds = isinstance(space, dict) and space.get("kind") == "segments"
    schedule = part.get("schedule", {})
    estimates = isinstance(schedule, dict) and schedule.get("kind") == "estimated"
    optimizer = {"optimizer": "natural_niches"} if breeds else {}
    evaluator = {"evaluator": SUMS} if estimates else {}  # a text's score is no mean
    return {**JOB, **optimizer, **evaluator, **part}


def parsed(arguments: Iterable[str]) -> dict[str, Any]:
    """The parameters that a command line sets, by the names that the code has for them.

    Raises:
        Exception: there is no such command or option, or an argument is missing.
    """
    group: Any = typer.main.get_command(app)
    name, *rest = arguments
    if name.startswith("-"):  # `evomerge --version`
        return {}
    command = group.commands[name]
    return dict(command.make_context(name, list(rest)).params)


def reduced(job: dict[str, Any], models: Models) -> dict[str, Any]:
    """The same search over small models and a text, in this process, with a few candidates."""
    small = {key: value for key, value in job.items() if key not in ("storage", "select")}
    breeds = job["space"] == "segments" or "niches" in str(job["optimizer"])
    small["evaluator"] = SUMS if breeds else TEXT
    small["budget"] = {"candidates": 6}
    small["select"] = {"finalists": 1}
    small |= {key: JOB[key] for key in ("engine", "cluster")}
    placed: dict[str, Any] = models.placed(small)
    return placed


class Reader:
    """Runs the commands of a page one after the other in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = Small(folder / ".small")
        self._recipe, self._job = RECIPE, JOB
        write_files(folder)

    def read(self, data: dict[str, Any]) -> None:
        """A recipe or a job that the page shows is the reader's from now on."""
        kind = kind_of(data)
        if kind == "recipe":
            self._recipe = data
            (self.folder / "recipe.yaml").unlink(missing_ok=True)
        elif kind != "evaluator":
            self._job = data if kind == "job" else whole(data)
            (self.folder / "job.yaml").unlink(missing_ok=True)

    def run(self, *arguments: str) -> Ended:
        """An evomerge command, once what it reads is there."""
        for name, value in parsed(arguments).items():
            if name == "evaluator" and not (self.folder / value).exists():
                entry = self.folder / "evaluators" / f"{value}.yaml"
                entry.write_text(yaml.safe_dump(TEXT))
            if name in INPUTS and value is not None:
                for text in value if isinstance(value, list) else [value]:
                    self.provide(str(text).rpartition("=")[2])
        return run(self.folder, *arguments)

    def provide(self, name: str) -> Path:
        """A file or folder that the page takes for granted, made if it is not there yet."""
        path = self.folder / name
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        if "examples" in Path(name).parts[:-1]:
            if not (path.parent / "tasks").exists():
                write_files(path.parent)
            job = yaml.safe_load((ROOT / name).read_text())
            path.write_text(yaml.safe_dump(reduced(job, self.models)))
            return path
        match path.suffix, path.parent.name:
            case ".yaml", _:
                path.write_text(yaml.safe_dump(self._yaml(path.stem), sort_keys=False))
            case ((".jsonl" | ".txt"), _):
                rows = [json.dumps({"text": f"{path.stem} of {n}; " * 4}) for n in range(3)]
                path.write_text("\n".join(rows) + "\n")
            case "", "runs":
                job = self._yaml("job")
                (self.folder / "of_runs.yaml").write_text(yaml.safe_dump(job))
                ended = run(self.folder, "search", "of_runs.yaml", "--out", name)
                assert ended.returncode == 0, ended.stderr
            case "", "adapters":
                shutil.copytree(self.models.adapter(name), path)
            case "", _:
                shutil.copytree(self.models.model(name), path)
            case _:
                raise FileNotFoundError(f"nothing on the page makes {name}")
        return path

    def _yaml(self, name: str) -> dict[str, Any]:
        if name in ("config", "evolve", "mergekit"):
            for model in ("base", "json", "math"):
                self.provide(f"models/{model}")
            return EVOLVE if name == "evolve" else MERGEKIT
        if name == "job":
            return reduced(self._job, self.models)
        if name == "recipe":
            placed: dict[str, Any] = self.models.placed(self._recipe)
            return placed
        raise FileNotFoundError(f"nothing on the page makes {name}.yaml")


def write_files(folder: Path) -> None:
    """Texts, tasks and a small catalog, whose entries stand before the packaged ones."""
    for path in ("tasks", "news", "evaluators"):
        (folder / path).mkdir(parents=True)
    sum_task(folder / "tasks")
    sum_task(folder / "tasks", "my_task")
    choice_task(folder / "tasks", "other")
    for split in SPLITS:
        (folder / f"{split}.txt").write_text(f"A few words of {split}.\n")
        (folder / "evaluators" / f"{split}.txt").write_text(f"A few words of {split}.\n")
    for day in ("monday", "tuesday", "wednesday", "thursday"):
        (folder / "news" / f"{day}.txt").write_text(f"What happened on {day}. " * 3)
    rows = [json.dumps({"text": f"print({number})"}) for number in range(400)]
    (folder / "code.jsonl").write_text("\n".join(rows))
    for name in ("json_math", "gsm8k"):
        (folder / "evaluators" / f"{name}.yaml").write_text(yaml.safe_dump(TEXT))
