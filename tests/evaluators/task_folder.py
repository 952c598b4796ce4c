"""Small lm-eval tasks of each kind in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["SPLITS", "choice_task", "evaluator", "rolling_task", "sum_task", "write_task"]

SPLITS = ("search", "validation", "holdout")


def sum_task(
    folder: Path, name: str = "sums", *, generation: Mapping[str, Any] | None = None, **keys: Any
) -> None:
    """Generated answers, exact match after an extraction; 6 examples a split."""
    rows = {
        split: [
            {"question": f"What is {a} + {b}?", "answer": str(a + b), "n": a}
            for a, b in ((10 * i + at, at + 1) for at in range(6))
        ]
        for i, split in enumerate(SPLITS)
    }
    write_task(
        folder,
        name,
        rows,
        output_type="generate_until",
        doc_to_text="{{question}}",
        doc_to_target="{{answer}}",
        generation_kwargs=generation or {"do_sample": False, "max_gen_toks": 6, "until": ["\n\n"]},
        filter_list=[
            {
                "name": "answer",
                "filter": [{"function": "evomerge_number"}, {"function": "take_first"}],
            }
        ],
        metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        **keys,
    )


def choice_task(folder: Path, name: str = "colours", **keys: Any) -> None:
    rows = {
        split: [
            {
                "text": f"{split} {n}: the sky is",
                "options": ["red", "blue", "a green"],
                "gold": n % 3,
            }
            for n in range(5)
        ]
        for split in SPLITS
    }
    metrics = [
        {"metric": metric, "aggregation": "mean", "higher_is_better": True}
        for metric in ("acc", "acc_norm")
    ]
    write_task(
        folder,
        name,
        rows,
        output_type="multiple_choice",
        doc_to_text="{{text}}",
        doc_to_choice="options",
        doc_to_target="gold",
        metric_list=metrics,
        **keys,
    )


def rolling_task(folder: Path, name: str = "prose", **keys: Any) -> None:
    rows = {
        split: [{"page": f"{split} {n} is a page. " * (n + 1)} for n in range(4)]
        for split in SPLITS
    }
    write_task(
        folder,
        name,
        rows,
        output_type="loglikelihood_rolling",
        doc_to_text="",
        doc_to_target="{{page}}",
        metric_list=[
            {
                "metric": "bits_per_byte",
                "aggregation": "bits_per_byte",
                "higher_is_better": False,
            }
        ],
        **keys,
    )


def write_task(
    folder: Path, name: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], **keys: Any
) -> None:
    data = folder / "data" / name
    data.mkdir(parents=True, exist_ok=True)
    for split, examples in rows.items():
        lines = "".join(json.dumps(example) + "\n" for example in examples)
        (data / f"{split}.jsonl").write_text(lines)
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {split: f"data/{name}/{split}.jsonl" for split in rows},
        },
        "test_split": "holdout",
        "metadata": {"version": 1.0},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task | keys))


def evaluator(tasks: Mapping[str, Mapping[str, Any]], **keys: Any) -> dict[str, Any]:
    """An evaluator's YAML as plain data, its tasks in the folder `tasks`."""
    return {
        "kind": "lm_eval",
        "include_path": "tasks",
        "tasks": tasks,
        "splits": {split: split for split in SPLITS},
    } | keys
