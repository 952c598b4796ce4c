"""Simulated searches, in which much goes wrong and nothing may be lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from evomerge.simulation import (
    KINDS,
    FaultKind,
    Played,
    draw_faults,
    draw_scenario,
    play,
    play_seed,
)
from evomerge.simulation.__main__ import main
from tests.simulation.seeds import BLOCKS, SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_law_is_broken(block: int) -> None:
    broken = {}
    happened: Counter[FaultKind] = Counter()
    for seed in SEEDS[block::BLOCKS]:
        played = play_seed(seed)
        happened += played.happened
        if played.broken:
            broken[f"python -m evomerge.simulation --seed {seed}"] = played.broken
    assert not broken
    assert set(happened) == set(KINDS)


def test_a_seed_is_played_the_same_again() -> None:
    def outline(played: Played) -> object:
        return played.trace, played.candidates, played.happened

    for seed in (1, 4, 9):
        first = play_seed(seed, keep_trace=True)
        assert outline(first) == outline(play_seed(seed, keep_trace=True))


def test_one_seed_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    seed = next(seed for seed in range(100) if len(draw_faults(seed)) > 3)
    assert main(["--seed", str(seed), "--trace"]) == 0
    out = capsys.readouterr().out
    assert "SITTING 1" in out
    assert out.rstrip().endswith("no law was broken")


def test_many_seeds_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "20", "--seeds", "5"]) == 0
    out = capsys.readouterr().out
    assert "5 searches" in out
    assert "0 broke a law" in out
    assert all(kind in out for kind in KINDS)


def test_asynchronous_cma_es_loses_nothing_either() -> None:
    """What it asks depends on the order of answers, and that is on record."""
    settings = {"kind": "cma_es", "asynchronous": True, "popsize": 4}
    scenarios = [draw_scenario(seed) for seed in range(60)]
    played = [
        play(replace(scenario, optimizer=settings), draw_faults(scenario.seed))
        for scenario in scenarios
        if scenario.objectives == 1 and scenario.schedule == "whole"
    ]
    assert len(played) > 20
    assert sum(len(one.happened) > 0 for one in played) > 10
    assert [one.broken for one in played if one.broken] == []
