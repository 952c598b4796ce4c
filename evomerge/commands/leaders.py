"""The best candidates with their objectives and tasks, a row each, fitted to a width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from evomerge.commands.names import cut, short_names, widths
from evomerge.commands.tables import objective_value, origin_of
from evomerge.study.candidate import Candidate

__all__ = ["leaders_table"]

GAP = 2
LEAST = 5
"""Characters of the narrowest column: `0.525`."""
LONGEST_ORIGIN = 24
READABLE = 8
"""A name of a task is cut to this before the candidates' origins give way."""


def leaders_table(
    leaders: Sequence[Candidate], objectives: Sequence[str], width: int, mark: str = "…"
) -> Table:
    """Number, origin, objectives and tasks; no column touches the next, whatever the width.

    Where it is narrow, names of tasks are cut, which `mark` says, then the origin goes, then tasks
    from the right.
    """
    numbers = [f"#{candidate.number}" for candidate in leaders]
    origins = [cut(origin_of(candidate), LONGEST_ORIGIN, mark) for candidate in leaders]
    fixed = [("", numbers)]
    for place, name in enumerate(objectives):
        values = [objective_value(candidate, place, objectives) for candidate in leaders]
        fixed.append((name, values))
    tasks = list(dict.fromkeys(task for candidate in leaders for task in candidate.tasks))
    names = short_names(tasks)
    room = width - sum(_width(*column) + GAP for column in fixed)
    beside_origin = room - _width("origin", origins) - GAP
    natural = [max(LEAST, len(name)) for name in names]
    got = widths(natural, beside_origin, least=READABLE, gap=GAP)
    if got is not None:
        fixed.insert(1, ("origin", origins))
    else:
        got, left_out = widths(natural, room, least=LEAST, gap=GAP), 0
        while got is None:
            left_out += 1
            natural = natural[:-1]
            got = widths(natural, room - len(f"+{left_out}") - GAP, least=LEAST, gap=GAP)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for title, cells in fixed:
        table.add_column(
            title,
            no_wrap=True,
            justify="left" if title == "origin" else "right",
            width=_width(title, cells),
        )
    for name, column in zip(names, got, strict=False):
        table.add_column(Text(cut(name, column, mark)), no_wrap=True, justify="right", width=column)
    if hidden := len(names) - len(got):
        table.add_column(f"+{hidden}", no_wrap=True, width=len(f"+{hidden}"))
    for row, candidate in enumerate(leaders):
        known = [values[row] for _, values in fixed]
        scores = [_score(candidate, task) for task in tasks[: len(got)]]
        table.add_row(*map(Text, known + scores))
    return table


def _width(title: str, cells: Sequence[str]) -> int:
    return max(len(title), *map(len, cells))


def _score(candidate: Candidate, task: str) -> str:
    return f"{candidate.tasks[task]:.3f}" if task in candidate.tasks else "-"
