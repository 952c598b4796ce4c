"""Searches replayed on a table, through the schedules of a job."""

from __future__ import annotations

from pathlib import Path

import fitness
import numpy as np
import pandas
import pytest
from published import earlier

from evomerge.config import SCHEDULES


@pytest.fixture(scope="module")
def table() -> fitness.Table:
    return fitness.Table.simulated(3, seed=1, candidates=60)


@pytest.mark.parametrize("search", ["random", "cma_es"])
def test_scoring_everything_finds_the_best_and_costs_everything(
    table: fitness.Table, search: str
) -> None:
    whole = fitness.replayed(table, "whole", search, 1, 30)
    assert whole.tokens == 30 * 240
    assert len(set(whole.asked)) == 30
    assert fitness.is_best(whole)
    assert fitness.summary([whole], [whole])["times fewer until 95 %"] == 1
    goal = float(table.final[whole.best(1)[0]])
    assert 0 < (whole.tokens_until(goal) or 0) <= whole.curve[-1][0]
    assert whole.tokens_until(goal + 0.01) is None


@pytest.mark.parametrize("way", [way for way in fitness.WAYS if way not in ("whole", "mp-IRT")])
def test_every_way_ends_and_costs_less(table: fitness.Table, way: str) -> None:
    if fitness.WAYS[way]["kind"] not in (*SCHEDULES.known, "subset"):
        pytest.skip("no such schedule")
    replay = fitness.replayed(table, way, "cma_es", 2, 24)
    assert len(replay.asked) == 24
    assert replay.tokens < 0.9 * 24 * 240
    assert replay.best(1)


def test_a_recorded_table_serves_whole_and_in_halves(tmp_path: Path) -> None:
    scores = [np.array([1, 0, 1, 0], dtype=np.float32), np.array([1, 1, 1, 1], dtype=np.float32)]
    frame = pandas.DataFrame(
        {
            "kind": ["landmark", "asked"],
            "digest": ["a", "b"],
            "gene.weight": [0.5, 1.5],
            "scores.search.task": scores,
            "tokens.search": [80, 40],
        }
    )
    frame.to_parquet(tmp_path / "small.parquet")
    whole, halves = fitness.Table.read(tmp_path / "small.parquet")
    assert whole.landmarks == (0,)
    assert whole.genes.tolist() == [[0.0], [1.0]]
    assert whole.tokens.tolist() == [20.0, 10.0]
    assert whole.final.tolist() == [0.5, 1.0]
    assert (halves.whole.tolist(), halves.final.tolist()) == ([1.0, 1.0], [0.0, 1.0])


def test_rows_that_were_not_run_stay() -> None:
    def row(table: str, way: str, tokens: float) -> dict[str, str | float]:
        return {"table": table, "search": "random", "way": way, "tokens": tokens}

    before = [row("demo", "whole", 1.0), row("demo", "racing", 0.5), row("flagship", "racing", 0.6)]
    new = [row("demo", "racing", 0.4), row("demo", "halving", 0.7)]
    assert fitness.merged(before, new) == [before[0], new[0], before[2], new[1]]
    assert len(earlier("fitness")["rows"]) >= 144
