from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from surrogates import MODELS, chosen, points, read, surrogate_error

from evomerge.recipe.genome import ChoiceGene, FloatGene


def recorded(path: Path, candidates: int = 120, examples: int = 40) -> Path:
    """A table as `recording.py` writes it: examples that are solved near a = 1, b = 0.5."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 2, candidates), rng.uniform(0, 1, candidates)
    logits = 3 - 6 * (a - 1) ** 2 - 8 * (b - 0.5) ** 2
    easy = rng.normal(0, 1, examples)
    solved = rng.random((candidates, examples)) < 1 / (1 + np.exp(-logits[:, None] - easy))
    table = pd.DataFrame(
        {
            "study": "one",
            "candidate": range(candidates),
            "kind": ["landmark", *["asked"] * (candidates - 1)],
            "label": ["uniform", *[None] * (candidates - 1)],
            "gene.a": a,
            "gene.b": b,
            "gene.method": ["ties" if i % 2 else "linear" for i in range(candidates)],
            "gene.fixed": 1.0,
            "scores.search.task": list(solved.astype(np.float32)),
            "scores.holdout.task": [*solved[:-1].astype(np.float32), None],
        }
    )
    table.to_parquet(path)
    return path


def test_a_table_is_read_as_genes_genomes_and_the_splits_that_all_were_scored_on(
    tmp_path: Path,
) -> None:
    table = read(recorded(tmp_path / "one.parquet"))
    a, b, method = table.genes
    assert isinstance(a, FloatGene)
    assert 0 <= a.low < 0.2
    assert isinstance(b, FloatGene)
    assert method == ChoiceGene(name="method", choices=("linear", "ties"))
    assert list(table.scores) == ["search"]
    assert table.scores["search"].shape == (120, 40)
    assert table.tasks == {"search": (40,)}
    assert table.landmarks == {"uniform": table.genomes[0]}
    assert points(table.genes, table.genomes[:1])[0, 2:].tolist() == [1.0, 0.0]


def test_a_table_without_genes_is_refused(tmp_path: Path) -> None:
    table: Any = pd.read_parquet(recorded(tmp_path / "one.parquet"))
    table[["kind", "label", "gene.fixed", "scores.search.task"]].to_parquet(tmp_path / "two")
    with pytest.raises(ValueError, match=r"no column gene\.NAME"):
        read(tmp_path / "two")


def test_a_model_foretells_candidates_that_it_has_not_seen(tmp_path: Path) -> None:
    table = read(recorded(tmp_path / "one.parquet"))
    x, y = points(table.genes, table.genomes), table.scores["search"]
    for name in ("quadratic, penalty 1", "Gaussian process, length 1, noise 0.3"):
        errors = surrogate_error(MODELS[name], x, y)
        assert errors["brier"] < 0.8 * errors["brier_of_means"]
        assert errors["spearman"] > 0.8


def test_the_model_is_chosen_by_its_cross_validated_error(tmp_path: Path) -> None:
    table = read(recorded(tmp_path / "one.parquet"))
    x, y = points(table.genes, table.genomes), table.scores["search"]
    name, errors = chosen(x, y, "quadratic")
    others = [surrogate_error(fit, x, y) for key, fit in MODELS.items() if key.startswith("quad")]
    assert name.startswith("quadratic")
    assert errors["brier"] == min(other["brier"] for other in others)
