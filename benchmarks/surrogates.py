"""Recorded candidates as a problem that answers in a millisecond: a model of each example.

`benchmarks/recording.py` writes the table: a row for each candidate, `gene.NAME` in the gene's own
unit, `scores.SPLIT.TASK` with a score for each example. Here a score becomes the probability that a
genome solves the example; a search over it sees draws of it, and is judged by the probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from evomerge.estimating.items import logistic
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome, Scalar

__all__ = ["MODELS", "SPLITS", "Fit", "Recorded", "chosen", "points", "read", "surrogate_error"]

Array = NDArray[np.float64]
Fit = Callable[[Array, Array], Callable[[Array], Array]]
"""Points (candidates, features) and scores (candidates, examples) in [0, 1] -> a function from a
point (features,) to the probability of each example, (examples,)."""

SPLITS = ("search", "validation", "holdout")
FOLDS = 5
LEAST = 0.01
"""No example is taken for certain: its probability lies in [LEAST, 1 - LEAST]."""


@dataclass(frozen=True)
class Recorded:
    """What a file holds: genes, genomes and their scores."""

    genes: tuple[Scalar, ...]
    """Their ranges are those that were tried: beyond them nothing is known."""
    genomes: tuple[Genome, ...]
    landmarks: Mapping[str, Genome]
    scores: Mapping[str, Array]
    """Split -> (candidates, examples); of splits that every candidate was scored on."""
    tasks: Mapping[str, tuple[int, ...]]
    """Split -> examples of each task, in order."""


def read(path: Path) -> Recorded:
    """The table in a parquet file; a genome that stands twice, as landmarks do, is read once.

    Raises:
        ValueError: it has no gene, or a candidate was not scored on the search split.
    """
    table: Any = pd.read_parquet(path)
    named = {column: column.removeprefix("gene.") for column in table if column[:5] == "gene."}
    named = {column: name for column, name in named.items() if table[column].nunique() > 1}
    if not named:
        raise ValueError(f"{path}: no column gene.NAME in which candidates differ")
    table = table.drop_duplicates(list(named))
    genes = tuple(_gene(name, list(table[column])) for column, name in named.items())
    genomes = tuple(
        tuple(_unit(gene, row[column]) for gene, column in zip(genes, named, strict=True))
        for row in table.to_dict("records")
    )
    marked = zip(table["kind"], table["label"], genomes, strict=True)
    scores, tasks = {}, {}
    for split in SPLITS:
        columns = [column for column in table if column.startswith(f"scores.{split}.")]
        if columns and not table[columns].isna().any(axis=None):
            parts = [np.array(list(map(list, table[column])), dtype=float) for column in columns]
            scores[split] = np.concatenate(parts, axis=1)
            tasks[split] = tuple(part.shape[1] for part in parts)
    if "search" not in scores:
        raise ValueError(f"{path}: a candidate has no scores on the search split")
    return Recorded(
        genes,
        genomes,
        {str(label): genome for kind, label, genome in marked if kind == "landmark"},
        scores,
        tasks,
    )


def _gene(name: str, values: Sequence[float | str]) -> Scalar:
    if any(isinstance(value, str) for value in values):
        return ChoiceGene(name=name, choices=tuple(sorted({str(value) for value in values})))
    numbers = [float(value) for value in values]
    return FloatGene(name=name, low=min(numbers), high=max(numbers))


def _unit(gene: Scalar, value: float | str) -> float | str:
    return str(value) if isinstance(gene, ChoiceGene) else gene.unit(float(value))


def points(genes: Sequence[Scalar], genomes: Sequence[Genome]) -> Array:
    """(genomes, features): a number from -1 to 1, and a choice as one number for each category."""
    rows = []
    for genome in genomes:
        row: list[float] = []
        for gene, value in zip(genes, genome, strict=True):
            if isinstance(gene, ChoiceGene):
                row += [float(value == choice) for choice in gene.choices]
            else:
                row.append(2 * float(value) - 1)
        rows.append(row)
    return np.array(rows, dtype=float)


def quadratic(penalty: float) -> Fit:
    """A logistic regression for each example on all products of two features."""

    def fit(x: Array, y: Array) -> Callable[[Array], Array]:
        features = _products(x)
        weights = np.stack([_logistic_weights(features, column, penalty) for column in y.T], axis=1)
        return lambda point: _bounded(logistic(_products(point[None])[0] @ weights))

    return fit


def gaussian_process(length: float, noise: float) -> Fit:
    """A Gaussian process for each example, all with one Matern 5/2 kernel: `length` is its scale
    for a feature that runs from -1 to 1, `noise` the variance of a score beside the kernel's."""

    def fit(x: Array, y: Array) -> Callable[[Array], Array]:
        scale = length * np.sqrt(x.shape[1])
        gram = _matern(x, x, scale) + noise * np.eye(len(x))
        mean = y.mean(axis=0)
        weights = np.linalg.solve(gram, y - mean)
        return lambda point: _bounded(mean + (_matern(point[None], x, scale) @ weights)[0])

    return fit


MODELS: Mapping[str, Fit] = {
    **{f"quadratic, penalty {p:g}": quadratic(p) for p in (0.03, 0.1, 0.3, 1.0, 3.0)},
    **{
        f"Gaussian process, length {length:g}, noise {noise:g}": gaussian_process(length, noise)
        for length in (0.25, 0.5, 1.0, 2.0)
        for noise in (0.03, 0.1, 0.3, 1.0)
    },
}


def surrogate_error(fit: Fit, x: Array, y: Array) -> dict[str, float]:
    """By cross-validation over candidates.

    Returns:
        `brier`, the mean squared error of an example's probability (lower is better);
        `brier_of_means`, what each example's mean over candidates alone would get; `rmse`, the
        error of a candidate's mean over examples; and `spearman`, the rank correlation of these
        means.
    """
    folds = np.random.default_rng(0).permutation(len(x)) % FOLDS
    said, plain = np.empty_like(y), np.empty_like(y)
    for fold in range(FOLDS):
        left = folds == fold
        model = fit(x[~left], y[~left])
        said[left] = [model(point) for point in x[left]]
        plain[left] = y[~left].mean(axis=0)
    means, truth = said.mean(axis=1), y.mean(axis=1)
    ranks = [pd.Series(values).rank() for values in (means, truth)]
    return {
        "brier": float(((said - y) ** 2).mean()),
        "brier_of_means": float(((plain - y) ** 2).mean()),
        "rmse": float(np.sqrt(((means - truth) ** 2).mean())),
        "spearman": float(np.corrcoef(*ranks)[0, 1]),
    }


def chosen(x: Array, y: Array, kind: str = "") -> tuple[str, dict[str, float]]:
    """The model whose cross-validated Brier score is best, among those whose name begins so."""
    errors = {
        name: surrogate_error(fit, x, y) for name, fit in MODELS.items() if name.startswith(kind)
    }
    best = min(errors, key=lambda name: errors[name]["brier"])
    return best, errors[best]


def _products(x: Array) -> Array:
    """1, the features, and all products of two."""
    i, j = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)


def _logistic_weights(x: Array, y: Array, penalty: float) -> Array:
    """Weights of the penalised log likelihood's maximum; the constant is hardly penalised."""
    ridge = np.full(x.shape[1], penalty)
    ridge[0] = 1e-2

    def loss(w: Array) -> tuple[float, Array]:
        z = x @ w
        value = np.logaddexp(0, z).sum() - y @ z + 0.5 * ridge @ w**2
        return float(value), x.T @ (logistic(z) - y) + ridge * w

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)


def _bounded(p: Array) -> Array:
    return np.clip(p, LEAST, 1 - LEAST)


def _matern(a: Array, b: Array, scale: float) -> Array:
    squares = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    r = np.sqrt(5 * squares) / scale
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))
