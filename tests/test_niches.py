"""A search over tables: real space, study, optimizers and loop, weights of a few numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.config import Budget
from evomerge.evaluators.base import Outcome, Report, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.segments import PiecewiseCoefficients
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Segments
from evomerge.search_spaces.segments import SegmentsSpace, SegmentsSpaceConfig
from evomerge.searching.loop import Search
from evomerge.study.record import Study
from evomerge.value import parse
from tests.facts import Facts
from tests.folders import tmp_path

__all__ = ["tmp_path"]

NAMES, SIZE = ("chat", "code", "math"), 90
VECTORS = np.random.default_rng(0).standard_normal((len(NAMES), SIZE))
GRID = Grid.regular(SIZE, resolution=30)
EVALUATOR = "e" * 64
OPTIMIZERS = ["natural_niches", "genetic_merge", "map_elites", "cycle_qd", "random_merge"]


def space() -> SegmentsSpace:
    sources = {name: Source(model=f"/models/{name}") for name in ("base", *NAMES)}
    config = parse(SegmentsSpaceConfig, {"kind": "segments", "base": "base"}, origin="space")
    facts = Facts(cells=(GRID,), measure=lambda: [Grams.of(VECTORS, GRID)])
    return SegmentsSpace(config, sources, facts)


class Worker:
    """Two tasks of 45 examples, each solved where a weight of the member is large enough."""

    def perform(self, task: Task) -> Outcome:
        assert isinstance(task.recipe, Segments)
        (table,) = space().genome(task.recipe)
        (strand,) = PiecewiseCoefficients.from_text(str(table)).chromosomes
        weights = (strand.at(np.arange(1, SIZE + 1)) * VECTORS.T).sum(axis=1)
        solved = (weights > 0.3).astype(float)
        tasks = {
            name: TaskScore(metric="acc", value=float(own.mean()), examples=tuple(own.tolist()))
            for name, own in (("one", solved[:45]), ("two", solved[45:]))
        }
        return Report(split=task.split, tasks=tasks)


def job(kind: str, **options: Any) -> dict[str, Any]:
    """What a job's file would say of such a search."""
    return {
        "name": "niches",
        "sources": {name: {"model": f"/models/{name}"} for name in ("base", *NAMES)},
        "space": {"kind": "segments", "base": "base"},
        "optimizer": {"kind": kind, **options},
        "evaluator": {
            "tasks": {name: {"metric": "acc", "weight": 1.0} for name in ("one", "two")},
            "splits": {"search": "train", "validation": "validation", "holdout": "test"},
        },
        "budget": {"candidates": 120},
    }


def search(folder: Path, kind: str, candidates: int, **options: Any) -> list[Any]:
    over = space()
    optimizer = make(
        configure({"kind": kind, **options}, origin="t"),
        over.genes,
        seed=2,
        seed_pool=over.seed_pool,
    )
    known = (folder / "study.json").exists()
    with (
        Study.open(folder, write=True)
        if known
        else Study.create(folder, name="niches", job=job(kind, **options), genes=over.genes)
    ) as study:
        study.put("evaluator", EVALUATOR)
        Search(
            study,
            over,
            optimizer,
            InProcess(partial(Worker)),
            Objective({"one": 1.0, "two": 1.0}),
            evaluator=EVALUATOR,
            budget=Budget(candidates=candidates),
            landmarks=over.landmarks(),
        ).run()
        return [(one.genome, one.fitness, one.parentage) for one in study.candidates()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_search_over_tables_in_two_sittings_is_the_same_search(tmp_path: Path, kind: str) -> None:
    whole = search(tmp_path / "whole", kind, 40)
    search(tmp_path / "pieces", kind, 17)
    assert search(tmp_path / "pieces", kind, 40) == whole
    landmarks = len(space().landmarks())
    assert all(parentage is not None and parentage.parents for _, _, parentage in whole[landmarks:])


def test_what_cycle_qd_breeds_steps_along_singular_directions(tmp_path: Path) -> None:
    bred = [genome for genome, _, parentage in search(tmp_path / "s", "cycle_qd", 30) if parentage]
    tables = [
        PiecewiseCoefficients.from_text(str(genome[0]))
        for genome in bred
        if not isinstance(genome, float)
    ]
    steps = [dict(table.noise) for table in tables]
    assert all(steps), "every child takes a step"
    assert any(len(own) > 1 for own in steps), "and inherits those of its parents"


@pytest.mark.slow
def test_niches_find_more_than_any_seed(tmp_path: Path) -> None:
    found = search(tmp_path / "s", "natural_niches", 120)
    landmarks = len(space().landmarks())
    best = max(fitness for _, fitness, _ in found[landmarks:])
    assert best > max(fitness for _, fitness, _ in found[:landmarks])
