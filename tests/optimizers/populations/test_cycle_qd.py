"""CycleQD by the paper's numbers, on grids whose members are plain vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.cycle_qd import (
    Cycle,
    CycleQdConfig,
    Moved,
    aggregate,
    elite_odds,
)
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.optimizers.populations.vector_crossing import VectorCrossing
from evomerge.recipe.genome import FloatGene

CROSSING = VectorCrossing(
    CrossingConfig(), tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(3))
)


def cycle(**options: Any) -> Cycle[Any]:
    return CycleQdConfig(**options).population()


def child(kept: Cycle[Any], number: int, seed: int, **options: Any) -> Any:
    """What question `number` would ask."""
    rng = np.random.default_rng(seed)
    a, b = kept.parents(number, rng)
    return Moved(CycleQdConfig(**options), CROSSING, kept)(number, a.body, b.body, rng)


def add(kept: Cycle[Any], id: int, tasks: tuple[float, ...], seed: bool = False) -> None:
    body = np.array([0.1, 0.2, 0.3]) + 0.05 * id
    kept.add(
        Member(id, body),
        MemberScores(float(np.mean(tasks)), np.empty(0), np.array(tasks)),
        seed=seed,
    )


def test_elites_are_drawn_as_in_the_paper() -> None:
    """Quality 0.6, 0.5, 0.4 and behaviours (2, 0), (5, 3), (5, 6)."""
    odds = elite_odds(np.array([[0.6, 2, 0], [0.5, 5, 3], [0.4, 5, 6]]))
    assert odds / odds.sum() == pytest.approx([0.233, 0.394, 0.373], abs=5e-4)
    assert len(set(elite_odds(np.ones((4, 2))))) == 1


def test_every_member_is_offered_to_every_grid() -> None:
    kept = cycle(bins=2)
    add(kept, 0, (0.8, 0.2), seed=True)
    add(kept, 1, (0.2, 0.8), seed=True)
    assert [one.id for one in kept.members] == [0, 1]
    add(kept, 2, (0.9, 0.3))  # in the grid of the first task, where it takes the first's cell
    ids = [[elite.item.id for elite in grid.elites] for grid in kept.grids]
    assert ids == [[2, 1], [2, 1]]
    places = [[(e.fitness, *e.behaviour) for e in grid.elites] for grid in kept.grids]
    assert places == [[(0.9, 0.3), (0.2, 0.8)], [(0.3, 0.9), (0.8, 0.2)]]
    add(kept, 3, (0.1, 0.1))
    assert [one.id for one in kept.members] == [2, 1]
    assert kept.version == 3


def test_cells_reach_beyond_the_seeds() -> None:
    """From 0.85 times the weakest to 1.15 times the strongest, and again when a seed comes late."""
    kept = cycle(bins=10)
    add(kept, 0, (0.4, 0.2), seed=True)
    add(kept, 1, (0.8, 0.6), seed=True)
    edge = 0.85 * 0.2 + 0.1 * (1.15 * 0.6 - 0.85 * 0.2)
    grid = kept.grids[0]
    assert [grid.cell(np.array([edge + by])) for by in (-1e-6, 1e-6)] == [(0,), (1,)]
    add(kept, 2, (0.4, 0.95), seed=True)
    assert kept.grids[0].cell(np.array([0.6])) < (5,)
    assert {one.id for one in kept.members} == {0, 1, 2}


def test_a_child_is_a_mean_moved_towards_the_expert_of_the_task_whose_turn_it_is() -> None:
    kept = cycle()
    add(kept, 0, (0.9, 0.1), seed=True)
    add(kept, 10, (0.1, 0.9), seed=True)
    middle = np.array([0.35, 0.45, 0.55])
    moves = []
    for task in (0, 1):
        bodies = [child(kept, task, i) - middle for i in range(300)]
        moves.append(np.mean(bodies))
        assert np.abs(bodies).max() < 0.03 + 0.025
    assert moves == pytest.approx([-0.0125, 0.0125], abs=0.002), "half of a tenth, on the mean"
    still = cycle()
    add(still, 0, (0.9, 0.1), seed=True)
    add(still, 10, (0.1, 0.9), seed=True)
    assert child(still, 0, 0, mutation=0.0, spread=0.0) == pytest.approx(middle)


def test_the_aggregate_weighs_champions_by_softmax() -> None:
    kept = cycle()
    assert aggregate(kept.champions(), CROSSING) is None
    for id, tasks in enumerate([(0.76, 0.1, 0.1), (0.1, 0.38, 0.1), (0.1, 0.1, 0.43)]):
        add(kept, id, tasks, seed=True)
    weights = [0.416, 0.285, 0.299]
    expected = np.array([0.1, 0.2, 0.3]) + 0.05 * (weights[1] + 2 * weights[2])
    assert aggregate(kept.champions(), CROSSING) == pytest.approx(expected, abs=1e-3)


def test_one_champion_of_all_tasks_is_no_aggregate() -> None:
    kept = cycle()
    add(kept, 0, (0.9, 0.9), seed=True)
    add(kept, 1, (0.1, 0.1), seed=True)
    assert aggregate(kept.champions(), CROSSING) is None
