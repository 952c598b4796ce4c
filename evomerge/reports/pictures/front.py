"""The picture of a Pareto front: each objective over each other, with the warm starts by name.

Every dot was scored on the search split. Axes are in the objectives' own units, and the better end
is right and up: an axis on which less is better runs backwards. The front of two objectives is
drawn in steps, the edge of what its members reach: a straight line between two of them would
promise candidates that nobody has found.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evomerge.evaluators.quantities import natural
from evomerge.reports.pictures.style import (
    COLOURS,
    INK,
    PALE,
    WIDTH,
    Format,
    drawn,
    entitle,
    explain,
    rule,
    shortened,
)
from evomerge.study.candidate import Candidate

__all__ = ["front_figure", "front_picture"]

NAMED = 14
"""Members of the front that have their number beside them, at most; of more none has."""
LETTERS = 22
"""Of a warm start's name."""
COLUMNS = 2
PANEL = 4.2
"""Height of a panel in inches."""


def front_picture(
    candidates: Sequence[Candidate],
    members: Sequence[Candidate],
    objectives: Sequence[str],
    format: Format,
    *,
    title: str,
) -> bytes:
    """The content of a picture file; the rest as in `front_figure`."""
    return drawn(lambda: front_figure(candidates, members, objectives, title=title), format)


def front_figure(
    candidates: Sequence[Candidate],
    members: Sequence[Candidate],
    objectives: Sequence[str],
    *,
    title: str,
) -> Figure:
    """A panel for each two objectives, the second over the first.

    `candidates`: all that have a fitness. `members`: those of the front, at least one.
    """
    pairs = list(combinations(range(len(objectives)), 2))
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(WIDTH, PANEL * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (first, second) in zip(panels, pairs, strict=False):
        _draw(axes, candidates, members, objectives, first, second)
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    handles, _ = panels[0].get_legend_handles_labels()
    explain(figure, handles)
    entitle(figure, f"{title}: {len(members)} of {len(candidates)} candidates on the front")
    return figure


def _draw(
    axes: Axes,
    candidates: Sequence[Candidate],
    members: Sequence[Candidate],
    objectives: Sequence[str],
    first: int,
    second: int,
) -> None:
    """One objective over another."""

    def points(some: Sequence[Candidate]) -> tuple[list[float], list[float]]:
        return (
            [_value(candidate, first, objectives) for candidate in some],
            [_value(candidate, second, objectives) for candidate in some],
        )

    def is_mark(candidate: Candidate) -> bool:
        return candidate.proposed_by == "landmark"

    marks = [candidate for candidate in candidates if is_mark(candidate)]
    groups = {
        "proposed": ("o", COLOURS[0], [c for c in candidates if not (is_mark(c) or c.missed)]),
        "breaks a constraint": ("x", COLOURS[1], [c for c in candidates if c.missed]),
        "warm start": ("s", COLOURS[4], [c for c in marks if not c.missed]),
    }
    for label, (mark, colour, some) in groups.items():
        if some:
            axes.plot(
                *points(some),
                mark,
                color=colour,
                alpha=0.8,
                markersize=5,
                label=label,
                gid=label,
                zorder=3,
            )
    order = sorted(members, key=lambda candidate: (candidate.fitness or ())[first])
    # From the worst in the first objective on: up to the next member's value the next one's holds.
    axes.plot(
        *points(order),
        "o-" if len(objectives) == 2 else "o",
        drawstyle="steps-pre",
        color=INK,
        markerfacecolor="none",
        markersize=10,
        linewidth=0.7,
        label="on the front",
        gid="front",
        zorder=2,
    )
    for start in marks:
        _say(axes, shortened(start.label or f"{start.number}", LETTERS), start, points, below=True)
    if len(members) <= NAMED:
        for member in members:
            _say(axes, f"{member.number}", member, points, below=False)
    for place, axis, invert in (
        (first, axes.set_xlabel, axes.invert_xaxis),
        (second, axes.set_ylabel, axes.invert_yaxis),
    ):
        turned = _is_turned(candidates, place, objectives)
        word = ", less is better" if turned else ""
        axis(f"{shortened(objectives[place], 30)}{word}", parse_math=False)
        if turned:
            invert()
    axes.margins(0.12)
    rule(axes)


def _say(axes: Axes, text: str, candidate: Candidate, points: object, *, below: bool) -> None:
    """A name beside a dot."""
    assert callable(points)
    (x,), (y,) = points([candidate])
    axes.annotate(
        text,
        (x, y),
        xytext=(6, -9 if below else 5),
        textcoords="offset points",
        color=PALE if below else INK,
        fontsize=7.5,
        parse_math=False,
    )


def _value(candidate: Candidate, place: int, objectives: Sequence[str]) -> float:
    """A number of its fitness in its own unit."""
    return natural(objectives[place], (candidate.fitness or ())[place], candidate.tasks)


def _is_turned(candidates: Sequence[Candidate], place: int, objectives: Sequence[str]) -> bool:
    """Whether less is better there: the own unit is the fitness with another sign."""
    fitness = np.array([(candidate.fitness or ())[place] for candidate in candidates])
    own = np.array([_value(candidate, place, objectives) for candidate in candidates])
    return bool((own != fitness).any())
