from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.merging.loadable import Loadable
from tests.place import TASK


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Two adapters, a space over two methods on factors, and three examples."""
    models = Loadable(tmp_path / "models")
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "sums.yaml").write_text(TASK)
    splits = ("search", "validation", "holdout")
    for i, split in enumerate(splits):
        row = {"question": f"What is {i} plus 1?", "answer": str(i + 1)}
        (tasks / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    base = {"model": models.base.model}
    written: dict[str, Any] = {
        "name": "adapters",
        "sources": {
            "base": base,
            **{name: base | {"adapter": str(models.folder / name)} for name in ("one", "three")},
        },
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": ["lorahub", "lora_lego"],
            "genes": ["weight", "k"],
        },
        "optimizer": "cma_es",
        "evaluator": {
            "kind": "lm_eval",
            "include_path": str(tasks),
            "tasks": {"sums": {"metric": "exact_match", "weight": 1.0}},
            "splits": {split: split for split in splits},
        },
        "budget": {"candidates": 6},
        "cluster": {"kind": "in_process"},
        "engine": {"kind": "transformers"},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(written))
    return path
