"""Which layers and components matter: the formulas, and a folder measured of small models."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from evomerge.errors import UserError
from evomerge.measuring.importance import fused, measure_importance, squashed
from evomerge.measuring.settings import MeasureSettings
from evomerge.models.importance import FILE, MeasuredImportance, PartImportance
from evomerge.recipe.source import Source
from tests.measuring.conftest import QUERY, Trained

SETTINGS = MeasureSettings(examples=2, length=24, device="cpu")


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_squashed_by_median_and_median_absolute_deviation() -> None:
    # The median is 3, the deviations are 2, 1, 0, 1, 7, their median is 1.
    expected = [sigmoid(x) for x in (-2, -1, 0, 1, 7)]
    assert squashed(np.array([1.0, 2.0, 3.0, 4.0, 10.0])) == pytest.approx(expected)


def test_equal_values_are_all_in_the_middle() -> None:
    assert list(squashed(np.array([0.2, 0.2, 0.2]))) == [0.5] * 3


def test_where_most_are_equal_the_mean_deviation_counts() -> None:
    # Deviations 0, 0, 0, 4: their median is 0, their mean 1.
    assert squashed(np.array([0.0, 0.0, 0.0, 4.0])) == pytest.approx([0.5, 0.5, 0.5, sigmoid(4)])


def test_joined_smoothed_over_depth_and_kept_above_the_floor() -> None:
    changes = np.array([[1.0], [2.0], [3.0], [4.0], [10.0]])
    distances = np.array([0.1, 0.1, 0.1, 0.1, 0.1])
    joined = [(0.5 + sigmoid(x)) / 2 for x in (-2, -1, 0, 1, 7)]
    expected = (joined[0] + 2 * joined[1] + joined[2]) / 4
    found = fused(changes, distances)
    assert found[1, 0] == pytest.approx(expected)
    assert found[0, 0] == pytest.approx((3 * joined[0] + joined[1]) / 4), "an end has no neighbour"


def test_what_nobody_changed_has_the_floor_alone() -> None:
    changes = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    importance = fused(changes, np.array([0.0, 0.5, 0.9]))
    assert list(importance[:, 0]) == [0.05] * 3
    assert importance[:, 1].min() > 0.05


def test_layers_without_a_component_are_passed_over() -> None:
    importance = fused(np.array([[1.0, np.nan], [2.0, 5.0]]), None)
    assert np.isnan(importance[0, 1])
    assert 0.05 <= importance[1, 1] <= 1


def measured(trained: Trained, out: Path, parents: dict[str, Source]) -> MeasuredImportance:
    text = trained.texts["math"]
    measure_importance(trained.base, parents, out, text=text, settings=SETTINGS)
    return MeasuredImportance.model_validate_json((out / FILE).read_text())


def test_a_folder_says_what_was_measured(trained: Trained, tmp_path: Path) -> None:
    about = measured(trained, tmp_path / "s", {"math": trained.math, "json": trained.json})
    assert set(about.models) == {"base", "json", "math"}
    assert about.measured["text"] == "math.jsonl"
    assert about.measured["examples"] == 2
    base = load_file(Path(trained.base.model) / "model.safetensors")
    names = [f"model.layers.1.mlp.{part}_proj.weight" for part in ("down", "gate", "up")]
    ratios = []
    for parent in (trained.math, trained.json):
        own = load_file(Path(parent.model) / "model.safetensors")
        ratios += [float((own[n] - base[n]).norm() / base[n].norm()) for n in names]
    (mlp,) = (p for p in about.parts if (p.layer, p.component) == (1, "mlp"))
    assert mlp.change == pytest.approx(np.mean(ratios), abs=1e-5)
    assert mlp.matrices == 3
    assert mlp.distance is not None
    assert mlp.distance > 0
    outside = [part for part in about.parts if part.layer is None]
    assert {part.component for part in outside} >= {"embedding"}
    assert all(part.distance is None for part in outside)


def test_a_change_of_one_component_stands_out(trained: Trained, tmp_path: Path) -> None:
    """The adapter changes one matrix of the attention of layer 1, and nothing else."""
    about = measured(trained, tmp_path / "s", {"lora": trained.lora})
    changed = {(p.layer, p.component) for p in about.parts if p.change > 0}
    assert changed == {(1, "attention")}
    assert QUERY.startswith("model.layers.1.self_attn")
    shares = {(p.layer, p.component): p.importance for p in about.parts}
    assert shares[1, "attention"] == max(shares.values())
    assert shares[0, "mlp"] == 0.05


def test_measuring_twice_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    for name in ("one", "two"):
        measured(trained, tmp_path / name, {"math": trained.math, "json": trained.json})
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_without_a_text_the_weights_alone_are_looked_at(trained: Trained, tmp_path: Path) -> None:
    parents = {"math": trained.math, "json": trained.json}
    measure_importance(None, parents, tmp_path / "s", text=None, settings=SETTINGS)
    about = json.loads((tmp_path / "s" / FILE).read_text())
    assert all("distance" not in part for part in about["parts"])
    assert all(part["change"] > 0 for part in about["parts"])


def test_a_larger_vocabulary_is_passed_over(trained: Trained, tmp_path: Path) -> None:
    larger = tmp_path / "larger"
    larger.mkdir()
    for file in Path(trained.math.model).iterdir():
        (larger / file.name).write_bytes(file.read_bytes())
    tensors = load_file(larger / "model.safetensors")
    table = tensors["model.embed_tokens.weight"]
    tensors["model.embed_tokens.weight"] = table.new_zeros(len(table) + 2, table.shape[1])
    save_file(tensors, larger / "model.safetensors", metadata={"format": "pt"})
    parents = {"math": trained.math, "larger": Source(model=str(larger))}
    measure_importance(trained.base, parents, tmp_path / "s", text=None, settings=SETTINGS)
    about = MeasuredImportance.model_validate_json((tmp_path / "s" / FILE).read_text())
    assert "embedding" not in {part.component for part in about.parts}


def test_no_parents_is_said(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="measured of parents"):
        measure_importance(trained.base, {}, tmp_path / "s", text=None, settings=SETTINGS)
    assert not (tmp_path / "s").exists()


def test_a_part_has_a_place() -> None:
    part = PartImportance(tower="decoder", layer=3, component="mlp", importance=0.4)
    assert part.place.layer == 3
    with pytest.raises(ValueError, match="importance"):
        PartImportance(importance=0.0)
