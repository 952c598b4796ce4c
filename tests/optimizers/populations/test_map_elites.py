from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from evomerge.errors import ConfigError
from evomerge.optimizers.populations.map_elites import Elites, MapElitesConfig
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.value import parse


def elites(**options: Any) -> Elites[Any]:
    return MapElitesConfig(**options).population()


def add(kept: Elites[Any], id: int, quality: float, *tasks: float) -> None:
    member_scores = MemberScores(quality, np.empty(0), np.array(tasks))
    kept.add(Member(id, np.full(4, id / 10)), member_scores, seed=False)


def test_one_member_a_cell_of_task_scores() -> None:
    kept = elites()
    add(kept, 1, 0.5, 0.95, 0.05)
    add(kept, 2, 0.4, 0.93, 0.07)
    add(kept, 3, 0.3, 1.0, 0.8)
    assert [one.id for one in kept.members] == [1, 3]
    assert kept.version == 2
    add(kept, 4, 0.6, 0.97, 0.01)
    assert [one.id for one in kept.members] == [4, 3]


@pytest.mark.parametrize(
    ("draw", "shares"), [("even", [2 / 3, 2 / 3, 2 / 3]), ("quality", [0.9, 0.9, 0.2])]
)
def test_two_elites_are_drawn(draw: str, shares: list[float]) -> None:
    kept = elites(draw=draw)
    for id, (quality, task) in enumerate([(0.6, 0.1), (0.6, 0.5), (0.1, 0.9)]):
        add(kept, id, quality, task)
    drawn: Counter[int] = Counter()
    for seed in range(2000):
        parents = kept.parents(0, np.random.default_rng(seed))
        assert len({one.id for one in parents}) == 2
        drawn.update(one.id for one in parents)
    assert [drawn[id] / 2000 for id in range(3)] == pytest.approx(shares, abs=0.06)


def test_elites_of_no_quality_are_drawn_evenly() -> None:
    kept = elites(draw="quality")
    for id in range(3):
        add(kept, id, -1.0, id / 3)
    assert kept.parents(0, np.random.default_rng(0))


def test_a_range_ascends() -> None:
    with pytest.raises(ConfigError, match=r"scores: a range is \[low, high\], got \[1.0, 0.5\]"):
        parse(MapElitesConfig, {"scores": [1.0, 0.5]}, origin="test")
