"""The schedules that spend fewer examples in real searches: their record, and what is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import SCHEDULES
from evomerge.evaluators.objective import Objective
from evomerge.reports.notes import candidate_note
from evomerge.searching.schedule import Schedule
from evomerge.searching.spending import Spending
from evomerge.simulation import draw_faults, draw_scenario, play
from evomerge.simulation.scores import SIZES
from evomerge.study.select_recipe import recorded
from tests.searching.staged import Killed, Steps, Workers, record, saving, staged
from tests.sphere import make_optimizer


@pytest.mark.parametrize("kind", ["halving", "hyperband", "racing"])
def test_cma_es_that_waits_for_its_generation_does_not_wait_for_ever(
    tmp_path: Path, kind: str
) -> None:
    """It asks nothing while a candidate of its generation waits, so those that wait are ended."""
    executor = Workers(2)
    with staged(tmp_path / "s", saving(kind), candidates=24, executor=executor) as study:
        candidates = study.candidates()
        stopped = [one for one in candidates if one.state == "stopped"]
        assert Counter(one.state for one in candidates)["paused"] == 0
        assert len(candidates) == 24
        assert len(stopped) > 3
        for one in stopped:
            assert one.why is not None
            assert one.why.startswith(f"after {one.stages[-1].scored} of 4 examples: ")
            assert one.partial is not None
        assert {one.state for one in study.best(24)} == {"done"}
        note = candidate_note(stopped[0], recorded(stopped[0].recipe, study), ("fitness",))
    assert "**Stopped** by its schedule: after" in note
    failed = {one.digest for one in candidates if one.state == "failed"}
    asked = [part for name, part in executor.asked if name not in failed]
    scored = sum(len(part["sphere"]) if part else 4 for part in asked)
    assert Spending(candidates).said.startswith(f"{scored} of ")


@pytest.mark.parametrize("kind", ["halving", "racing"])
def test_killed_a_few_times_it_decides_the_same(tmp_path: Path, kind: str) -> None:
    def go_on(folder: Path, steps: Steps) -> None:
        executor, optimizer = Workers(1, steps), make_optimizer("genetic", population=4)
        staged(folder, saving(kind), executor=executor, optimizer=optimizer).close()

    go_on(tmp_path / "whole", Steps())
    for kill_at in (5, 9, 14):
        with pytest.raises(Killed):
            go_on(tmp_path / f"{kill_at}", Steps(kill_at))
        with pytest.raises(Killed):
            go_on(tmp_path / f"{kill_at}", Steps(3))
        go_on(tmp_path / f"{kill_at}", Steps())
        assert record(tmp_path / f"{kill_at}") == record(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["halving", "hyperband", "racing"])
def test_in_simulated_searches_nothing_is_lost(kind: str) -> None:
    objective = Objective({"sums": 1.0, "words": 2.0})

    def make() -> Schedule:
        settings = SCHEDULES.config({"kind": kind, "least": 2})
        made: Schedule = SCHEDULES.make(settings, sizes=SIZES, seed=0, objective=objective)
        return made

    own: dict[str, Any] = {"make_schedule": make, "tells_estimates": True}
    scenarios = [draw_scenario(seed) for seed in range(24)]
    played = [
        play(replace(scenario, **own), draw_faults(scenario.seed))
        for scenario in scenarios
        if scenario.objectives == 1 and scenario.budget.candidates
    ]
    assert len(played) > 8
    assert [one.broken for one in played if one.broken] == []
