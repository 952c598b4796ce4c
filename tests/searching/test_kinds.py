"""A search over models of each kind, as a user runs it: check, search, export, load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

import evomerge
from tests.architectures import Architecture
from tests.evaluators.task_folder import evaluator, rolling_task, sum_task
from tests.kinds import architecture, write_kind
from tests.place import Ended, run

pytestmark = pytest.mark.filterwarnings("default")

CLASSIFIER = '''
import torch


def sure(model, split, places):
    """How sure the classifier is of the second label."""
    tokens = [model.tokenizer.encode(f"{split} {place}") for place in places]
    rows = [model.module(input_ids=torch.tensor([own])).logits[0].softmax(-1) for own in tokens]
    return [float(row[1]) for row in rows]
'''
SCORED: Mapping[str, Any] = {
    "kind": "python",
    "callable": "classify:sure",
    "examples": {"search": 4, "validation": 3, "holdout": 4},
}
ENGINE = {"kind": "transformers", "device": "cpu", "dtype": "float32"}
SUMS = {"metric": "exact_match", "filter": "answer", "weight": 1.0}
PROSE = {"metric": "bits_per_byte", "weight": 1.0}


@dataclass(frozen=True)
class Kind:
    """A kind of model, what is searched of it, and what scores it."""

    model: Architecture
    groups: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, Any] | None = field(default_factory=lambda: {"sums": SUMS, "prose": PROSE})
    genes: tuple[str, ...] = ()
    """Genes that there have to be."""


BERT = architecture("BERT")
KINDS = {
    "Mixtral": Kind(
        architecture("Mixtral"),
        {"components": ["router", "expert"]},
        genes=("one.weight@router", "two.weight@expert", "one.weight@other"),
    ),
    "Qwen3-MoE": Kind(
        architecture("Qwen3-MoE"),
        {"layers": 2, "components": ["router", "expert"]},
        genes=("one.weight@layers0-1.router", "two.weight@layers2-3.expert"),
    ),
    "Pythia": Kind(
        architecture("GPT-NeoX"),
        {"components": ["attention", "mlp", "head"]},
        genes=("one.weight@head",),
    ),
    "GPT-2": Kind(architecture("GPT-2"), {"layers": 2}, genes=("one.weight@layers2-3",)),
    "classifier": Kind(
        Architecture(
            "classifier", "BertForSequenceClassification", BERT.config, dict(BERT.settings)
        ),
        {"components": ["attention", "head"]},
        tasks=None,
        genes=("one.weight@head",),
    ),
    "T5": Kind(
        architecture("T5"),
        {"components": ["cross_attention"]},
        {"sums": SUMS},
        genes=("one.weight@cross_attention",),
    ),
    "LLaVA": Kind(architecture("LLaVA"), {"layers": 2}, genes=("one.weight@layers0-1",)),
    "Qwen2-VL": Kind(architecture("Qwen2-VL"), {"components": ["attention"]}),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    rolling_task(tmp_path / "tasks")
    (tmp_path / "classify.py").write_text(CLASSIFIER)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_search_its_export_and_what_the_model_says(name: str, place: Path) -> None:
    kind = KINDS[name]
    for seed, member in enumerate(("base", "one", "two")):
        write_kind(kind.model, place / member, seed=seed)
    scoring = evaluator(kind.tasks) if kind.tasks else {**SCORED}
    (place / "evaluator.yaml").write_text(yaml.safe_dump(scoring))
    (place / "job.yaml").write_text(yaml.safe_dump(job_of(kind)))
    done(place, "check", "job.yaml", "--trust-job")
    done(place, "search", "job.yaml", "--out", "study", "--trust-job", "--quiet")
    shown = json.loads(done(place, "show", "study", "--json").stdout)
    assert shown["candidates"] == 4
    assert {*kind.genes} <= shown["best"][0]["genes"].keys()

    done(place, "export", "study", "--out", "exported")
    done(place, "export", "study", "--out", "best.yaml", "--format", "recipe", "--local-paths")
    done(place, "merge", "best.yaml", "--out", "merged")
    exported, merged = (loaded(kind.model, place / folder) for folder in ("exported", "merged"))
    tokens = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    if exported.config.is_encoder_decoder:
        tokens["decoder_input_ids"] = torch.tensor([[1, 9]])
    with torch.inference_mode():
        assert torch.equal(exported(**tokens).logits, merged(**tokens).logits)

    # What was said of the winner while its weights were swapped in is true of its folder.
    compared = evomerge.load(place / "study").comparison
    assert compared is not None
    said = {table.task: table.rows[0] for table in compared.tables}
    report = json.loads(
        done(
            place,
            *("evaluate", "exported", "--evaluator", "evaluator.yaml", "--split", "holdout"),
            *("--engine", "transformers", "--trust-job", "--json"),
        ).stdout
    )
    for task, score in report["tasks"].items():
        assert said[task].model == "evolved"
        assert score["value"] == pytest.approx(said[task].value, abs=1e-5)


def job_of(kind: Kind) -> dict[str, Any]:
    """Three warm starts and one candidate of the optimizer."""
    return {
        "name": "kinds",
        "sources": {member: member for member in ("base", "one", "two")},
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": "task_arithmetic",
            "groups": dict(kind.groups),
            "genes": {"weight": [0.0, 1.0]},
        },
        "optimizer": "random",
        "evaluator": "evaluator.yaml",
        "budget": {"candidates": 4},
        "select": {"finalists": 1, "tune_baselines": False},
        "cluster": {"kind": "in_process"},
        "engine": ENGINE,
    }


def done(folder: Path, *arguments: str) -> Ended:
    ended = run(folder, *arguments)
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended


def loaded(made: Architecture, folder: Path) -> Any:
    """The model, of which no tensor is made up."""
    model, info = getattr(transformers, made.model).from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32
    )
    assert not any(info.values()), info
    return model.eval()
