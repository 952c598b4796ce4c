"""The picture of a lineage: a candidate's family back to the seeds, and how its parents were drawn.

A row a candidate, in the order of asking: seeds on top, the candidate itself at the bottom. Arcs
lead from parents down to children, those of first parents on the left and of second ones on the
right. A row shows what its candidate consists of, where that is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from evomerge.reports.lineage import Ancestor
from evomerge.reports.pictures.style import INK, PALE, WIDTH, Format, colour, drawn, shortened

__all__ = ["lineage_figure", "lineage_picture"]

SIDES = (INK, "#8e44ad")
"""Colours of arcs from first and from second parents; no seed has them."""

# In points, a 72nd of an inch.
ROWS = 700.0
"""All rows together, about."""
ROW = (11.5, 22.0)
"""One row, at least and at most."""
TITLES = 58.0
LEGEND = (4, 13.0)
"""Seeds on a line, and a line's height; of the lines between titles and rows."""
MIDDLE = WIDTH * 72 / 2
BAR = 110.0
NAME, SCORE = 72.0, 40.0
"""Beside the bar."""
ARC = (16.0, 196.0)
"""How far an arc reaches out, at least and at most."""
FADING = 0.8
"""An arc's weight, a generation further from the candidate."""


def lineage_picture(
    family: Sequence[Ancestor],
    shares: Mapping[int, Mapping[str, float]],
    format: Format,
    *,
    title: str,
    sides: tuple[str, str],
    random: Set[int] = frozenset(),
) -> bytes:
    """The content of a picture file; the rest as in `lineage_figure`."""
    return drawn(
        lambda: lineage_figure(family, shares, title=title, sides=sides, random=random), format
    )


def lineage_figure(
    family: Sequence[Ancestor],
    shares: Mapping[int, Mapping[str, float]],
    *,
    title: str,
    sides: tuple[str, str],
    random: Set[int] = frozenset(),
) -> Figure:
    """A family as `study.lineage` gives it, its youngest last.

    `shares`: a candidate's number -> seed -> how much of it the candidate is; {} where there are no
    seeds to speak of. `sides`: how first and second parents were drawn. `random`:
    numbers of candidates whose parents were drawn otherwise, at random; their arcs are dotted.
    """
    row = min(max(ROWS / len(family), ROW[0]), ROW[1])
    colours = _colours(shares)
    top = TITLES + math.ceil(len(colours) / LEGEND[0]) * LEGEND[1]
    height = row * len(family) + top
    figure = Figure(figsize=(WIDTH, height / 72))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH * 72)
    axes.set_ylim(height, 0)
    places = {ancestor.candidate.number: top + (i + 0.4) * row for i, ancestor in enumerate(family)}
    _draw_arcs(axes, family, places, random, row)
    for ancestor in family:
        number = ancestor.candidate.number
        _draw_row(axes, ancestor, places[number], shares.get(number, {}), colours, row)
    _explain(axes, family, colours, sides, random, title, top)
    return figure


def _colours(shares: Mapping[int, Mapping[str, float]]) -> dict[str, str]:
    """Seed -> its colour, of the seeds that some candidate has a share of."""
    names = dict.fromkeys(
        name for own in shares.values() for name, share in own.items() if share != 0
    )
    return {name: colour(i) for i, name in enumerate(names)}


def _draw_arcs(
    axes: Axes,
    family: Sequence[Ancestor],
    places: Mapping[int, float],
    random: Set[int],
    row: float,
) -> None:
    longest = max(places.values()) - min(places.values()) or 1.0
    distances = _distances(family)
    for child in family:
        for side, parent in enumerate(child.parents[:2]):
            start, end = places[parent.number], places[child.candidate.number] - 0.12 * row
            sign = (-1, 1)[side]
            edge = MIDDLE + sign * (BAR / 2 + (NAME, SCORE)[side])
            reach = ARC[0] + (ARC[1] - ARC[0]) * math.sqrt((end - start) / longest)
            out = edge + sign * reach
            weight = FADING ** distances[child.candidate.number]
            axes.add_patch(
                PathPatch(
                    Path(
                        [(edge, start), (out, start), (out, end), (edge, end)],
                        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
                    ),
                    facecolor="none",
                    edgecolor=SIDES[side],
                    alpha=max(0.28, weight),
                    linewidth=0.7 + 1.1 * weight,
                    gid=f"{'AB'[side]} {parent.number} {child.candidate.number}",
                    linestyle=":" if child.candidate.number in random else "-",
                    zorder=1 + weight,
                )
            )
            axes.plot(
                [edge],
                [end],
                marker=">" if side == 0 else "<",
                markersize=4.5,
                color=SIDES[side],
                alpha=max(0.5, weight),
                markeredgewidth=0,
                linestyle="none",
                zorder=3,
            )


def _distances(family: Sequence[Ancestor]) -> dict[int, int]:
    """Candidate -> steps to the youngest, on the shortest way."""
    distances = {family[-1].candidate.number: 0}
    for ancestor in reversed(family):
        for parent in ancestor.parents:
            steps = 1 + distances[ancestor.candidate.number]
            distances[parent.number] = min(steps, distances.get(parent.number, steps))
    return distances


def _draw_row(
    axes: Axes,
    ancestor: Ancestor,
    at: float,
    shares: Mapping[str, float],
    colours: Mapping[str, str],
    row: float,
) -> None:
    """The candidate's name, what it consists of, and its score."""
    candidate = ancestor.candidate
    left, right = MIDDLE - BAR / 2, MIDDLE + BAR / 2
    text: Any = {"va": "center_baseline", "fontsize": min(8.0, 0.68 * row), "color": INK}
    name = shortened(candidate.label or f"{candidate.number}", 12)
    axes.text(left - 5, at, name, ha="right", parse_math=False, **text)
    score: str = candidate.state if candidate.state in ("failed", "stopped") else "-"
    if candidate.fitness is not None:
        score = f"{candidate.fitness[0]:.3f}"
    axes.text(right + 5, at, score, ha="left", **text)
    total = sum(abs(share) for share in shares.values())
    if not total:
        axes.plot([left, right], [at, at], color=PALE, linewidth=0.5)
        return
    start = left
    for seed, share in shares.items():
        if share != 0:
            width = BAR * abs(share) / total
            axes.add_patch(
                Rectangle(
                    (start, at - 0.33 * row),
                    width,
                    0.66 * row,
                    facecolor=colours[seed],
                    edgecolor="white",
                    linewidth=0.4,
                    zorder=2,
                    gid=f"{seed} in {candidate.number}",
                )
            )
            start += width


def _explain(
    axes: Axes,
    family: Sequence[Ancestor],
    colours: Mapping[str, str],
    sides: tuple[str, str],
    random: Set[int],
    title: str,
    top: float,
) -> None:
    """Title and legends, above the rows."""
    youngest = family[-1]
    counts = _count(len(family) - 1, "ancestor") + ", " + _count(youngest.generation, "generation")
    said = f"{shortened(title, 44)}: {counts if youngest.parents else 'no ancestors'}"
    axes.text(6, 8, said, va="top", fontsize=11, parse_math=False, gid="title")
    legend: Any = {"va": "center", "fontsize": 8, "color": INK}
    if youngest.parents:
        for side, (place, ha) in enumerate(((6, "left"), (2 * MIDDLE - 6, "right"))):
            axes.text(place, 33, sides[side], ha=ha, **{**legend, "color": SIDES[side]})
        if any(ancestor.candidate.number in random for ancestor in family):
            said = "dotted: warm-up, parents at random"
            axes.text(2 * MIDDLE - 6, 14, said, ha="right", **legend)
    if colours:
        handles = [Patch(facecolor=own, label=shortened(name, 18)) for name, own in colours.items()]
        made = axes.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(MIDDLE, top - 11),
            bbox_transform=axes.transData,
            ncols=min(len(handles), LEGEND[0]),
            frameon=False,
            fontsize=8,
            handlelength=0.9,
            handletextpad=0.4,
            columnspacing=1.0,
            borderaxespad=0.0,
            labelspacing=0.3,
        )
        for text in made.get_texts():
            text.set_parse_math(False)
    axes.text(MIDDLE - BAR / 2 - 5, top - 7, "candidate", ha="right", **{**legend, "fontsize": 7})
    axes.text(MIDDLE + BAR / 2 + 5, top - 7, "score", ha="left", **{**legend, "fontsize": 7})


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"
