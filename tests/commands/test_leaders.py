"""The table of the best candidates in whatever room there is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from evomerge.commands.leaders import leaders_table
from tests.commands.moments import candidate

MANY = {f"benchmark_of_subject_{i}_and_its_parts": i / 20 for i in range(12)}


def table(width: int, **tasks: float) -> list[list[str]]:
    """The cells of each line; columns are two blanks apart."""
    written = io.StringIO()
    best = [candidate(1, 0.5, tasks=tasks), candidate(22, 0.25, label="uniform", tasks={})]
    console = Console(file=written, width=width)
    console.print(leaders_table(best, ("fitness",), width))
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    assert all(len(line) <= width for line in lines)
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_everything_where_there_is_room() -> None:
    assert table(80, sums=0.5, words=0.25) == [
        ["origin", "fitness", "sums", "words"],
        ["#1", "optimizer", "0.5000", "0.500", "0.250"],
        ["#22", "uniform", "0.2500", "-", "-"],
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_what_does_not_fit_is_counted(width: int) -> None:
    header, row, _ = table(width, **MANY)
    shown = [cell for cell in header if cell not in ("origin", "fitness")]
    left_out = [cell for cell in shown if cell.startswith("+")]
    hidden = int(left_out[0]) if left_out else 0
    names = [cell for cell in shown if not cell.startswith("+")]
    assert len(names) + hidden == 12
    assert len(names) >= 2
    assert all(len(name) >= 5 for name in names)
    scores = row[-len(names) :]
    assert scores == [f"{i / 20:.3f}" for i in range(len(names))]


def test_the_origin_gives_way_to_names_that_can_be_read() -> None:
    names = {"arithmetic": 0.5, "geometry_of": 0.5, "spelling_bees": 0.5}
    assert table(80, **names)[0] == ["origin", "fitness", *names]
    assert table(54, **names)[0] == ["fitness", *names]
    assert table(36, **names)[0] == ["fitness", "arit…", "geom…", "spell…"]
