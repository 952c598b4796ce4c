"""A small study: three genes, reports with one or two tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.study.record import Study
from tests.folders import tmp_path

__all__ = ["ask", "folder", "genome", "recipe", "report", "study", "tmp_path"]

GENES = (
    FloatGene(name="weight", low=0.0, high=2.0),
    FloatGene(name="rate", low=1e-3, high=10.0, log=True),
    ChoiceGene(name="method", choices=("linear", "ties")),
)
GENOME: Genome = (0.25, 1.0, "ties")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture
def study(folder: Path) -> Iterator[Study]:
    with Study.create(folder, name="small", job={"seed": 7}, genes=GENES) as made:
        yield made


@pytest.fixture
def genome() -> Genome:
    return GENOME


@pytest.fixture
def recipe() -> Merge:
    return Merge(method="linear", inputs={"a": Source(model="./a"), "b": Source(model="./b")})


@pytest.fixture
def report() -> Report:
    return Report(
        split="search",
        tasks={"sums": TaskScore(metric="exact", value=0.5, examples=(0.0, 1.0))},
        truncated=0.25,
        seconds={"merge": 0.12345678, "evaluate": 2.0},
    )


@pytest.fixture
def ask(study: Study, genome: Genome, recipe: Merge) -> Callable[[int], int]:
    """Record the optimizer's question of that id."""
    return lambda proposal: study.ask(
        proposed_by="optimizer", genome=genome, recipe=recipe, proposal=proposal
    )
