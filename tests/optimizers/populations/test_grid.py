from __future__ import annotations

import numpy as np
import pytest

from evomerge.optimizers.populations.grid import Elite, EliteGrid


@pytest.mark.parametrize(
    ("score", "cell"), [(-1.0, 0), (0.03, 0), (0.0301, 1), (0.20, 6), (0.45, 14), (0.60, 14)]
)
def test_cells_include_their_upper_end(score: float, cell: int) -> None:
    """CycleQD's: 15 cells to 0.45."""
    assert EliteGrid[str]([0.0], [0.45], 15).cell(np.array([score])) == (cell,)


def test_an_edge_belongs_to_the_cell_below() -> None:
    grid: EliteGrid[str] = EliteGrid([0.0], [1.0], 4)
    assert [grid.cell(np.array([x])) for x in (0.0, 0.25, 0.5, 1.0)] == [(0,), (0,), (1,), (3,)]


def test_an_elite_gives_way_to_strictly_better_ones() -> None:
    grid: EliteGrid[str] = EliteGrid([0, 0], [1, 1], 4)

    def offer(name: str, quality: float, *behaviour: float) -> bool:
        return grid.add(Elite(name, quality, np.array(behaviour)))

    assert offer("a", 0.5, 0.1, 0.9)
    assert not offer("b", 0.5, 0.2, 0.8)
    assert offer("c", 0.6, 0.2, 0.8)
    assert offer("d", 0.1, 0.2, 0.7)
    assert [one.item for one in grid.elites] == ["c", "d"]


def test_without_behaviour_there_is_one_cell() -> None:
    grid: EliteGrid[str] = EliteGrid([], [], 4)
    assert grid.add(Elite("a", 0.5, np.empty(0)))
    assert grid.add(Elite("b", 0.6, np.empty(0)))
    assert [one.item for one in grid.elites] == ["b"]
