"""The picture of a search: each candidate's fitness by its number, and the best so far.

All that stands on an axis was scored on the search split by the same objective, and may be
compared: candidates, and as level lines the landmarks (parents, the uniform merge, ...), which are
candidates themselves. What the validation split and the holdout say is not drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evomerge.reports.pictures.style import (
    COLOURS,
    INK,
    PALE,
    WIDTH,
    Format,
    drawn,
    entitle,
    explain,
    round_places,
    rule,
    shortened,
    spread,
)
from evomerge.study.candidate import Candidate, State

__all__ = ["convergence_figure", "convergence_picture"]

Array = NDArray[np.float64]

PANEL = 3.4
"""Height of an objective's panel, in inches; of several a little less."""
LINES = 9
"""Landmarks that get a line, at most: the best ones."""
LETTERS = 22
"""Of a landmark's name."""
MANY = 1500
"""From so many candidates on, dots become part of a bitmap, so that the file stays small."""
DASHES: Sequence[Any] = ((0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1)))
"""Lines that can be told apart without colours."""
ENDS: dict[State, tuple[str, str, float]] = {
    "failed": ("x", COLOURS[1], 0.055),
    "stopped": ("|", COLOURS[0], 0.02),
}
"""State without a fitness -> its mark at the foot, the mark's colour, and its height there."""


def convergence_picture(
    candidates: Sequence[Candidate], objectives: Sequence[str], format: Format, *, title: str
) -> bytes:
    """The content of a picture file; the rest as in `convergence_figure`."""
    return drawn(lambda: convergence_figure(candidates, objectives, title=title), format)


def convergence_figure(
    candidates: Sequence[Candidate], objectives: Sequence[str], *, title: str
) -> Figure:
    """A panel for each objective, and for two of them a third with one over the other.

    `candidates`: all of a study, by number, at least one of them with a fitness. `objectives`:
    what the fitness's numbers are called; each is maximised.
    """
    done = [candidate for candidate in candidates if candidate.fitness is not None]
    fitness = np.array([candidate.fitness for candidate in done], dtype=float)
    rows = len(objectives) + (len(objectives) == 2)
    heights = [PANEL if len(objectives) == 1 else 2.6] * len(objectives)
    heights += [3.6] * (rows - len(heights))
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.7), layout="constrained")
    panels = figure.subplots(rows, 1, height_ratios=heights, squeeze=False)[:, 0]
    for number, name in enumerate(objectives):
        axes = panels[number]
        _draw_objective(axes, candidates, done, fitness[:, number])
        axes.set_ylabel(f"{shortened(name, 30)}\nsearch split", parse_math=False)
        if number:
            axes.sharex(panels[0])
    panels[len(objectives) - 1].set_xlabel("candidate, by its number")
    _add_clock(panels[0], done)
    if rows > len(objectives):
        _draw_front(panels[-1], done, fitness, objectives)
    _explain(figure, candidates)
    entitle(figure, f"{title}: {_counted(candidates)}")
    return figure


def _draw_objective(
    axes: Axes, candidates: Sequence[Candidate], done: Sequence[Candidate], values: Array
) -> None:
    numbers = np.array([candidate.number for candidate in done])
    low, high = _range(values)
    axes.set_ylim(low - 0.12 * (high - low), high + 0.08 * (high - low))
    last = max(candidate.number for candidate in candidates)
    axes.set_xlim(-0.02 * last - 0.5, 1.01 * last + 0.5)
    axes.set_xticks(round_places(last + 1, 12))
    rule(axes, along="y")
    axes.plot(
        numbers,
        np.maximum.accumulate(values),
        color=INK,
        linewidth=1.6,
        drawstyle="steps-post",
        zorder=4,
        gid="best so far",
    )
    marks = _marks(candidates)
    landmark = np.array([candidate.proposed_by == "landmark" for candidate in done], dtype=bool)
    axes.plot(
        numbers[~landmark],
        values[~landmark],
        "o",
        color=COLOURS[0],
        alpha=0.75,
        markeredgewidth=0,
        zorder=3,
        gid="proposed",
        **marks,
    )
    axes.plot(
        numbers[landmark],
        values[landmark],
        "s",
        color=COLOURS[4],
        markeredgecolor=INK,
        markeredgewidth=0.6,
        zorder=5,
        gid="landmarks",
        **{**marks, "markersize": 5},
    )
    foot = axes.get_xaxis_transform()
    for state, (mark, colour, height) in ENDS.items():
        own = [candidate.number for candidate in candidates if candidate.state == state]
        axes.plot(own, [height] * len(own), mark, color=colour, transform=foot, gid=state, **marks)
    below = numbers[values < low]
    axes.plot(
        below, [0.035] * len(below), "v", color=PALE, markersize=4, transform=foot, gid="below"
    )
    _draw_lines(
        axes,
        [candidate for candidate in done if candidate.proposed_by == "landmark"],
        values[landmark],
    )


def _marks(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """How dots are drawn: of many smaller ones, of very many as a bitmap."""
    size = 4.5 if len(candidates) <= 300 else 2.6
    return {"markersize": size, "linestyle": "none", "rasterized": len(candidates) > MANY}


def _range(values: Array) -> tuple[float, float]:
    """What the axis shows: all, but not what lies far below the rest, which would flatten it."""
    high, middle = float(values.max()), float(np.median(values))
    low = max(float(values.min()), high - 6 * max(high - middle, 1e-12))
    if len(values) < 8:
        low = float(values.min())
    if high - low < 1e-9 * max(1.0, abs(high)):
        return low - max(0.05, 0.05 * abs(low)), high + max(0.05, 0.05 * abs(high))
    return low, high


def _draw_lines(axes: Axes, landmarks: Sequence[Candidate], values: Array) -> None:
    """A level line for each landmark, labelled at its right end."""
    low, high = axes.get_ylim()
    best = sorted(range(len(landmarks)), key=lambda i: -values[i])[:LINES]
    shown = [i for i in best if low <= values[i] <= high]
    heights = spread([(values[i] - low) / (high - low) for i in shown], 0.058)
    for place, (i, height) in enumerate(zip(shown, heights, strict=True)):
        colour = COLOURS[1:][place % (len(COLOURS) - 1)]
        name = shortened(landmarks[i].label or f"landmark {landmarks[i].number}", LETTERS)
        axes.axhline(
            values[i],
            color=colour,
            linewidth=0.9,
            linestyle=DASHES[place % len(DASHES)],
            zorder=2,
            gid=f"level of {name}",
        )
        at = (values[i] - low) / (high - low)
        axes.plot(
            [1.0, 1.02],
            [at, height],
            color=colour,
            linewidth=0.7,
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.text(
            1.025,
            height,
            f"{name} {values[i]:.3g}",
            color=INK,
            fontsize=7.5,
            va="center",
            transform=axes.transAxes,
            parse_math=False,
        )


def _add_clock(axes: Axes, done: Sequence[Candidate]) -> None:
    """Above the first panel: the time of searching by which candidates were back."""
    back = np.maximum.accumulate([candidate.told_s or 0.0 for candidate in done])
    if not back[-1]:
        return
    numbers = [candidate.number for candidate in done]
    places = [
        numbers[i] for i in np.linspace(0, len(done) - 1, min(6, len(done))).round().astype(int)
    ]
    clock = axes.secondary_xaxis("top")
    after = dict(zip(numbers, back, strict=True))
    unit, seconds = _unit(back[-1])
    times = [after[number] / seconds for number in places]
    said = [f"{time:.3g}" if time >= 0.1 else "0" for time in times]
    clock.set_xticks(places, said, fontsize=7.5)
    clock.tick_params(length=2, colors=INK)
    clock.set_xlabel(f"{unit} of searching", fontsize=8, color=INK)
    clock.spines["top"].set_visible(False)


def _unit(longest: float) -> tuple[str, float]:
    """What times up to this are told in, and how many seconds it is."""
    units = (("s", 1.0, 120.0), ("min", 60.0, 7200.0))
    return next(((unit, s) for unit, s, limit in units if longest < limit), ("h", 3600.0))


def _draw_front(
    axes: Axes, done: Sequence[Candidate], fitness: Array, objectives: Sequence[str]
) -> None:
    """The second objective over the first; a ring around what no other beats in both."""
    x, y = fitness[:, 0], fitness[:, 1]
    landmark = np.array([candidate.proposed_by == "landmark" for candidate in done], dtype=bool)
    axes.plot(x[~landmark], y[~landmark], "o", color=COLOURS[0], alpha=0.75, **_marks(done))
    axes.plot(x[landmark], y[landmark], "s", color=COLOURS[4], markersize=5)
    order = np.lexsort((-y, -x))
    front, highest = [], -np.inf
    for i in order:
        if y[i] > highest:
            front.append(i)
            highest = y[i]
    axes.plot(
        x[front],
        y[front],
        "o-",
        color=INK,
        markerfacecolor="none",
        markersize=9,
        linewidth=0.7,
        gid="front",
    )
    axes.set_xlabel(shortened(objectives[0], 40), parse_math=False)
    axes.set_ylabel(shortened(objectives[1], 30), parse_math=False)
    axes.set_title("rings: no other candidate is better in both", fontsize=8, loc="left", color=INK)


def _explain(figure: Figure, candidates: Sequence[Candidate]) -> None:
    """The legend, below all panels: of what there is."""
    from matplotlib.lines import Line2D

    none: Any = {"linestyle": "none"}
    entries = [Line2D([], [], color=INK, linewidth=1.6, label="best so far")]
    done = [candidate for candidate in candidates if candidate.fitness is not None]
    if any(candidate.proposed_by != "landmark" for candidate in done):
        entries.append(
            Line2D([], [], marker="o", color=COLOURS[0], markersize=5, label="proposed", **none)
        )
    marks = [candidate for candidate in done if candidate.proposed_by == "landmark"]
    if marks:
        said = "landmark, and its level" + (f" (best {LINES})" if len(marks) > LINES else "")
        entries.append(
            Line2D(
                [],
                [],
                marker="s",
                color=COLOURS[4],
                markeredgecolor=INK,
                markersize=5,
                label=said,
                **none,
            )
        )
    for state, (mark, colour, _) in ENDS.items():
        if any(candidate.state == state for candidate in candidates):
            entries.append(Line2D([], [], marker=mark, color=colour, label=state, **none))
    values = np.array([candidate.fitness for candidate in done], dtype=float)
    if any((column < _range(column)[0]).any() for column in values.T):
        entries.append(Line2D([], [], marker="v", color=PALE, label="far below", **none))
    explain(figure, entries)


def _counted(candidates: Sequence[Candidate]) -> str:
    """How many there are, and what became of those that have no fitness."""
    many = len(candidates)
    parts = [f"{many} candidate" + "s" * (many != 1)]
    for state in ("failed", "stopped", "paused", "running"):
        if count := sum(candidate.state == state for candidate in candidates):
            parts.append(f"{count} {state}")
    return ", ".join(parts)
