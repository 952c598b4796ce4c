"""The example of models that continue no text: trained, searched in process, exported, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import make
import pytest
import sentences
import torch
import transformers
import yaml
from safetensors.torch import load_file

import evomerge
from evomerge.errors import ConfigError, UserError
from evomerge.trust import VARIABLE

EXAMPLE = Path(make.__file__).parent
CLASSES = {"classifier": "BertForSequenceClassification", "sentence_encoder": "BertModel"}


@pytest.fixture(autouse=True)
def _consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("encoders")
    make.make(made)
    return made


def job(name: str, folder: Path) -> dict[str, Any]:
    """The example's, over the models of a folder, with a budget of a few candidates."""
    data: dict[str, Any] = yaml.safe_load((EXAMPLE / f"{name}.yaml").read_text())
    data["sources"] = {
        source: str(folder / Path(place).relative_to("../../.cache/encoders"))
        for source, place in data["sources"].items()
    }
    data["evaluator"] |= {
        "options": {"data": str(folder / "data")},
        "path": str(EXAMPLE / f"{data['evaluator']['callable'].partition(':')[0]}.py"),
    }
    return data | {"budget": {"candidates": 8}}


@pytest.mark.parametrize("name", CLASSES)
def test_a_search_finds_what_neither_specialist_knows(
    name: str, folder: Path, tmp_path: Path
) -> None:
    results = evomerge.search(job(name, folder), tmp_path / "study")
    assert results.comparison is not None
    scores = {row.model: row.value for row in results.comparison.tables[0].rows}
    assert scores["evolved"] > max(scores["food"], scores["film"], scores["base"]) + 0.1
    evomerge.export(tmp_path / "study", tmp_path / "model")
    loaded = getattr(transformers, CLASSES[name]).from_pretrained(tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    state = loaded.state_dict()
    assert all(torch.equal(state[tensor], value) for tensor, value in weights.items())
    assert CLASSES[name] in (tmp_path / "model" / "README.md").read_text()


def test_what_asks_for_texts_is_refused_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    said = "BertForSequenceClassification neither continues texts nor scores them"
    wrong = job("classifier", folder) | {"evaluator": news(tmp_path)}
    with pytest.raises(ConfigError, match=said):
        evomerge.search(wrong, tmp_path / "study")
    assert not (tmp_path / "study").exists()
    with pytest.raises(ConfigError, match=said):
        evomerge.evaluate(folder / "classifier" / "base", news(tmp_path))


def test_a_function_that_asks_for_texts_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def own(model, split, places):\n    model.generate([], [])\n")
    asked = {"kind": "python", "callable": "own:own", "path": str(tmp_path / "own.py")}
    with pytest.raises(UserError, match="neither continues texts nor scores them"):
        evomerge.evaluate(
            folder / "classifier" / "base", asked | {"examples": {"search": 1, "holdout": 1}}
        )


def news(folder: Path) -> dict[str, Any]:
    files = {}
    for split in ("search", "validation", "holdout"):
        (folder / f"{split}.txt").write_text(f"This is of the {split}.")
        files[split] = str(folder / f"{split}.txt")
    return {"kind": "text", "tasks": {"news": {"splits": files}}}


def test_no_example_is_trained_on_or_in_two_splits() -> None:
    for examples in (sentences.reviews, sentences.pairs):
        rows = [row for rows in make.splits(examples).values() for row in rows]
        assert len(rows) == len(set(rows)) == sum(sentences.SPLITS.values())
        for domain in sentences.DOMAINS[1:]:
            trained = set(list(examples(domain, seed=0))[make.HELD_BACK :])
            assert len(trained) > 100
            assert not trained & set(rows)
