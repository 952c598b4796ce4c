"""The simulation finds what is broken: each of these within the seeds of its test."""

from __future__ import annotations

import pytest

from evomerge.simulation import draw_faults, draw_scenario, play
from evomerge.simulation.narrow import narrow
from tests.simulation.broken import BROKEN, BROKEN_POOLS
from tests.simulation.seeds import SEEDS


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_found(kind: str) -> None:
    doubles = BROKEN[kind]
    found = (
        play(scenario, draw_faults(scenario.seed), doubles=doubles).broken
        for scenario in map(draw_scenario, SEEDS)
        if (scenario.is_pool or kind not in BROKEN_POOLS)
        and (scenario.is_shared or kind != "WaitingForAll")
        # Under the other schedules nothing is cancelled.
        and (scenario.schedule == "overtaken" or kind != "HandsOverWhatIsCancelled")
    )
    assert any(found)


def test_a_failure_is_narrowed_to_the_faults_that_it_takes() -> None:
    for seed in SEEDS:
        scenario, faults = draw_scenario(seed), draw_faults(seed)
        played = play(scenario, faults, doubles=BROKEN["Forgets"])
        if played.broken and len(faults) > 2:
            break
    fewer = narrow(played, lambda some: play(scenario, some, doubles=BROKEN["Forgets"]))
    assert fewer.broken
    assert len(fewer.faults) == 1
