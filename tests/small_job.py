"""A job over two adapters on a tiny model, scored by a function: searched in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.trust import VARIABLE

__all__ = ["SmallJob", "small_job"]

SCORER = '''
def likely(model, split, places):
    """How likely the model finds it that one number follows another."""
    pairs = []
    for place in places:
        tokens = model.tokenizer.encode(f"{len(split)} and {place}, then {place + 1}")
        pairs.append((tokens[:-1], tokens[-1:]))
    return [scored.total for scored in model.logprobs(pairs)]
'''


class SmallJob:
    """The job's file, what is written in it, and the models that it is over."""

    def __init__(self, folder: Path) -> None:
        # Not at the top: this file is a part of conftest, and peft is needed by few.
        from tests.merging.loadable import Loadable

        self.folder = folder
        self.models = Loadable(folder / "models")
        (folder / "scorer.py").write_text(SCORER)
        self.path = folder / "job.yaml"
        self.written: dict[str, Any] = {
            "name": "small",
            "sources": {
                "base": {"model": "models/base"},
                **{
                    name: {"model": "models/base", "adapter": f"models/{name}"}
                    for name in ("one", "three")
                },
            },
            "space": {
                "kind": "parameter",
                "base": "base",
                "method": "task_arithmetic",
                "genes": {"weight": [0, 1]},
            },
            "optimizer": "random",
            "evaluator": {
                "kind": "python",
                "callable": "scorer:likely",
                "examples": {"search": 4, "validation": 3, "holdout": 5},
            },
            "budget": {"candidates": 6},
            "cluster": {"kind": "in_process"},
            "engine": {"kind": "transformers"},
        }
        self.write()

    def write(self, **keys: Any) -> Path:
        """Write the file, with these keys changed; where it is."""
        self.written |= keys
        self.path.write_text(yaml.safe_dump(self.written))
        return self.path


@pytest.fixture
def small_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallJob:
    """A job whose code is trusted while the test runs."""
    monkeypatch.setenv(VARIABLE, "1")
    return SmallJob(tmp_path / "place")
