"""The same job searched by other schedules: what is published of it."""

from __future__ import annotations

from pathlib import Path

import fitness_live
import pytest
from published import ROOT

import evomerge
from evomerge.config import read_job
from tests.small_job import SmallJob


def test_a_search_that_spares_examples_is_said_with_what_it_took(small_job: SmallJob) -> None:
    job = read_job(small_job.path)
    rows = []
    for way in (fitness_live.WHOLE, "halving"):
        own = fitness_live.with_schedule(job, way, 3)
        assert (own.schedule.kind, own.seed) == (way, 3)
        folder = small_job.folder / way
        rows.append(fitness_live.row_of(own, way, 3, folder, evomerge.search(own, folder)))
    whole, halving = rows
    assert whole["examples"] == 4 * whole["recipes"]
    assert halving["examples"] <= whole["examples"]
    assert (whole["holdout_examples"], whole["tokens"] > 0) == (5, True)
    assert str(small_job.folder) in str(whole["recipe"]), "paths outside the project stay"


def test_ways_are_compared_with_the_whole_search_of_their_seed() -> None:
    rows = [
        {"way": "whole", "seed": 1, "tokens": 100, "holdout": 0.5, "recipe": {"a": 1}},
        {"way": "whole", "seed": 2, "tokens": 200, "holdout": 0.7, "recipe": {"a": 2}},
        {"way": "halving", "seed": 1, "tokens": 50, "holdout": 0.5, "recipe": {"a": 1}},
        {"way": "halving", "seed": 2, "tokens": 50, "holdout": 0.6, "recipe": {"a": 3}},
        {"way": "racing", "seed": 9, "tokens": 50, "holdout": 0.6, "recipe": {"a": 3}},
    ]
    whole, halving = fitness_live.means(rows)
    assert (whole["way"], whole["tokens"], whole["lost"]) == ("whole", 1, 0)
    assert (halving["seeds"], halving["tokens"], halving["same_winner"]) == (2, 0.375, 0.5)
    assert halving["holdout"] == pytest.approx(0.55)
    assert halving["lost"] == pytest.approx(0.05)


def test_the_whole_search_is_where_the_flagship_puts_it() -> None:
    whole = fitness_live.folder_of("demo", "whole", 7)
    other = fitness_live.folder_of("demo", "gmp-IRT, clusters", 7)
    runs = Path(ROOT, "runs")
    assert whole == runs / "demo" / "seed-7"
    assert other == runs / "fitness" / "demo" / "gmp-irt-clusters" / "seed-7"
