"""A working directory as a user has one, and the command line in it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from evomerge.commands.main import main
from tests.families import Family

__all__ = ["TASK", "Ended", "Place", "run"]

TASK = """
task: sums
dataset_path: json
dataset_kwargs:
  data_files: {search: search.jsonl, validation: validation.jsonl, holdout: holdout.jsonl}
test_split: holdout
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {do_sample: false, max_gen_toks: 4, until: ["x"]}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


class Ended(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str) -> Ended:
    """Run the console script's function as the script would, in a folder."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["evomerge", *arguments]
    try:
        with (
            contextlib.chdir(folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.argv = argv
    return Ended(code, out.getvalue(), err.getvalue())


class Place:
    """A working directory with a family of models, an evaluator and a job that fit together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.family = Family(folder / "models")
        tasks = folder / "tasks"
        tasks.mkdir()
        (tasks / "sums.yaml").write_text(TASK)
        for i, split in enumerate(("search", "validation", "holdout")):
            row = {"question": f"What is {i} plus 1?", "answer": str(i + 1)}
            (tasks / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
        self.evaluator: dict[str, Any] = {
            "kind": "lm_eval",
            "include_path": "tasks",
            "tasks": {"sums": {"metric": "exact_match", "weight": 1.0}},
            "splits": {"search": "search", "validation": "validation", "holdout": "holdout"},
        }
        self.job: dict[str, Any] = {
            "name": "tiny",
            "sources": {
                "base": {"model": "models/base"},
                "json": {"model": "models/json"},
                "math": {"model": "models/math"},
            },
            "space": {
                "kind": "parameter",
                "base": "base",
                "method": "ties",
                "genes": {"weight": [0, 1], "density": [0.1, 1]},
            },
            "optimizer": "cma_es",
            "evaluator": "evaluator.yaml",
            "budget": {"candidates": 4},
            "cluster": {"kind": "in_process"},
        }

    def write(self) -> None:
        (self.folder / "evaluator.yaml").write_text(yaml.safe_dump(self.evaluator))
        (self.folder / "job.yaml").write_text(yaml.safe_dump(self.job))

    def run(self, *arguments: str) -> Ended:
        """Run a command in this folder."""
        return run(self.folder, *arguments)

    def refuses(self, *arguments: str) -> str:
        """Run what must be refused; the sentence on stderr."""
        before = sorted(self.folder.rglob("*"))
        ended = self.run(*arguments)
        assert ended.returncode == 2, ended.stderr
        assert sorted(self.folder.rglob("*")) == before, "something was written"
        # On a busy machine a check may say that it goes on.
        said = re.sub(r"^checking .*: \d+:\d\d\n", "", ended.stderr, flags=re.MULTILINE)
        assert "Traceback" not in said
        assert said.startswith("evomerge: "), said
        assert said.count("\n") == 1, said
        return said
