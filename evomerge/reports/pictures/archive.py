"""The picture of an archive: which member solves which example, and each member's fitness.

After the matrices of competition in Abrantes et al. 2025, "Competition and Attraction Improve Model
Fusion" (arXiv 2508.16204). Members stand below each other, the fittest on top; examples stand
side by side, task by task, from those that all members solve to those that no member solves, so
that niches show as blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from evomerge.reports.archive import RankedMember
from evomerge.reports.pictures.style import (
    COLOURS,
    INK,
    PALE,
    WIDTH,
    Format,
    drawn,
    shortened,
    wrapped,
)
from evomerge.wording import count

__all__ = ["archive_figure", "archive_picture", "coverage", "entropy", "order"]

Array = NDArray[np.float64]

SHARED, ALONE = COLOURS[0], COLOURS[1]
LETTERS = 96
"""How many fit into the width of the matrix."""
SHADES = 64
"""Number of colours for graded scores."""

# Heights in points, a 72nd of an inch.
MEMBERS = 560.0
"""All members together, about."""
ROW = (7.5, 16.0)
"""One member, at least and at most."""
STRIP = 44.0
TITLES = 96.0
LINE = 11.0
"""A further line below the examples."""
TOGETHER = "\N{NO-BREAK SPACE}"
"""A space at which no line ends."""
SHORTEST = 6
"""Letters of a task's name, at least: one with less room has its number, and its name is below."""


def archive_picture(
    members: Sequence[RankedMember],
    tasks: Mapping[str, int],
    format: Format,
    *,
    title: str,
    ranked_by: str,
) -> bytes:
    """The content of a picture file; the rest as in `archive_figure`."""
    return drawn(lambda: archive_figure(members, tasks, title=title, ranked_by=ranked_by), format)


def archive_figure(
    members: Sequence[RankedMember], tasks: Mapping[str, int], *, title: str, ranked_by: str
) -> Figure:
    """A matrix of members x examples; below it how many solve each, beside it the fitness.

    `members`: at least one, the fittest first. `tasks`: task -> how many examples, in the order
    of the scores. `ranked_by`: what the fitness is called.
    """
    scores = np.array([member.examples for member in members])
    row = min(max(MEMBERS / len(members), ROW[0]), ROW[1])
    heights = [row * len(members), STRIP]
    places = _places(tasks)
    numbered = [name for name, letters in _letters(places).items() if letters < SHORTEST]
    named = ", ".join(f"{list(tasks).index(name) + 1}{TOGETHER}{name}" for name in numbered)
    below = wrapped(f"examples, the most often solved first{'; ' * bool(named)}{named}", 120)
    height = sum(heights) + TITLES + LINE * below.count("\n")
    figure = Figure(figsize=(WIDTH, height / 72), layout="constrained")
    # Titles and legends lie in the margin, which is kept free for them.
    grid: Any = {"height_ratios": heights, "width_ratios": [1.0, 0.11, 0.11]}
    (matrix, fitnesses, means), (strip, *empty) = figure.subplots(2, 3, gridspec_kw=grid)
    for axes in empty:
        axes.remove()
    _draw_matrix(matrix, members, scores, tasks, places, row)
    _draw_strip(strip, scores, tasks, places)
    strip.set_xlabel(below, color=INK, fontsize=8, parse_math=False)
    strip.set_xlim(matrix.get_xlim())
    _draw_bars(fitnesses, [member.fitness for member in members], ranked_by, row)
    _draw_bars(means, scores.mean(axis=1).tolist(), "mean score", row)
    counts = f"{count(len(members), 'member')}, {count(scores.shape[1], 'example')}"
    about = f"{shortened(title, 50)}: {counts}"
    figure.suptitle(about, x=0.01, ha="left", fontsize=11, parse_math=False)
    if scores.min() >= 0 and scores.max() <= 1:
        said = f"coverage {coverage(scores):.3f}   entropy {entropy(scores):z.3f} bits"
        figure.text(0.99, 0.995, said, ha="right", va="top", fontsize=9, color=INK, gid="said")
    return figure


def coverage(scores: Array) -> float:
    """Mean over the examples of the best score that any member has there.

    `scores`: (members, examples). Of scores of 0 and 1 it is the share that some member solves.
    """
    return float(scores.max(axis=0).mean())


def entropy(scores: Array) -> float:
    """Mean binary entropy, in bits, of the share of members that solve an example.

    `scores`: (members, examples). 0 where all members solve the same, 1 where half of them solve
    each.
    """
    share = np.clip(scores.mean(axis=0), 0.0, 1.0)
    parts = [p * np.log2(p, out=np.zeros_like(p), where=p > 0) for p in (share, 1 - share)]
    return float(-sum(parts).mean())


def order(scores: Array) -> list[int]:
    """How the examples (members, examples) of a task are placed: by their sums, the largest first;
    equal ones that the same members solve side by side, the fittest member's first."""
    columns = scores.T.tolist()
    return sorted(
        range(len(columns)),
        key=lambda j: (-round(sum(columns[j]), 9), [-score for score in columns[j]], j),
    )


def _places(tasks: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Task -> where its examples begin and end, with a gap between tasks."""
    gap = max(1.0, 0.008 * sum(tasks.values()))
    places, start = {}, 0.0
    for name, examples in tasks.items():
        places[name] = start, start + examples
        start += examples + gap
    return places


def _letters(places: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    """Task -> how many letters there is room for above its examples."""
    last = max(end for _, end in places.values())
    return {name: round((end - start) / last * LETTERS) for name, (start, end) in places.items()}


def _own(scores: Array, tasks: Mapping[str, int]) -> dict[str, Array]:
    """Task -> (members, examples) in the order in which they are drawn."""
    ends = np.cumsum([0, *tasks.values()]).tolist()
    parts = {name: scores[:, a:b] for name, (a, b) in zip(tasks, pairwise(ends), strict=True)}
    return {name: part[:, order(part)] for name, part in parts.items()}


def _draw_matrix(
    axes: Axes,
    members: Sequence[RankedMember],
    scores: Array,
    tasks: Mapping[str, int],
    places: Mapping[str, tuple[float, float]],
    row: float,
) -> None:
    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    graded = not np.isin(scores, (0.0, 1.0)).all()
    room = _letters(places)
    for number, (name, part) in enumerate(_own(scores, tasks).items(), start=1):
        start, end = places[name]
        shown = (part - low) / (high - low)
        if not graded:
            # 1: solved; 2: by this member only.
            shown = part + (part.astype(bool) & (part.sum(axis=0) == 1) & (len(part) > 1))
        axes.imshow(
            shown,
            cmap=_shades() if graded else ListedColormap(["white", SHARED, ALONE]),
            vmin=0,
            vmax=1 if graded else 2,
            extent=(start, end, len(members) - 0.5, -0.5),
            aspect="auto",
            interpolation="none",
            gid=f"matrix of {name}",
        )
        letters = room[name]
        solved = "" if graded else f": {int(part.any(axis=0).sum())} of {tasks[name]}"
        label = shortened(name, letters) if letters >= SHORTEST else f"{number}"
        axes.text(
            start,
            -0.5 - 3 / row,
            label + (solved if len(label + solved) <= letters else ""),
            ha="left",
            va="bottom",
            fontsize=8,
            color=INK,
            parse_math=False,
            gid=f"task {name}",
        )
        axes.plot(
            [start, end, end, start, start],
            [-0.5, -0.5, len(members) - 0.5, len(members) - 0.5, -0.5],
            color=PALE,
            linewidth=0.6,
            clip_on=False,
            zorder=3,
        )
    labels = [
        shortened(member.candidate.label or f"{member.candidate.number}", 14) for member in members
    ]
    axes.set_yticks(range(len(members)), labels, fontsize=min(8.0, 0.8 * row), parse_math=False)
    tall = row * len(members)  # in points
    said = "member (a candidate's number)" if tall > 140 else "member" if tall > 40 else ""
    axes.set_ylabel(said, color=INK, fontsize=8)
    axes.set_xlim(0, max(end for _, end in places.values()))
    axes.tick_params(length=0, pad=2)
    axes.tick_params(axis="x", labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    entries = [Patch(facecolor=SHARED, label="solved")]
    if graded:
        entries = [
            Patch(facecolor=SHARED, label=f"score {high:.3g}"),
            Patch(facecolor="white", edgecolor=PALE, label=f"score {low:.3g}"),
        ]
    elif len(members) > 1:
        entries.append(Patch(facecolor=ALONE, label="solved by this member alone"))
    axes.legend(
        handles=entries,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=1.2,
        borderaxespad=1.6,
    )


def _shades() -> ListedColormap:
    """From white to the colour of what is solved."""
    steps = np.linspace(0.0, 1.0, SHADES)[:, None]
    return ListedColormap((1 - steps) + steps * np.array(to_rgb(SHARED)))


def _draw_strip(
    axes: Axes,
    scores: Array,
    tasks: Mapping[str, int],
    places: Mapping[str, tuple[float, float]],
) -> None:
    """How many of the members solve each example."""
    for name, part in _own(scores, tasks).items():
        start, end = places[name]
        axes.stairs(
            part.mean(axis=0),
            np.linspace(start, end, part.shape[1] + 1),
            fill=True,
            color=PALE,
            gid=f"share of {name}",
        )
    axes.set_ylim(min(0.0, float(scores.min())), max(1.0, float(scores.max())))
    graded = not np.isin(scores, (0.0, 1.0)).all()
    axes.set_ylabel("mean\nscore" if graded else "share of\nmembers", color=INK, fontsize=8)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.tick_params(axis="y", labelsize=7, length=0, pad=2)


def _draw_bars(axes: Axes, values: Sequence[float], name: str, row: float) -> None:
    """One bar for each member, and its value."""
    axes.barh(range(len(values)), values, height=0.72, color="#c8c8c8", gid=name)
    lowest, highest = min(0.0, *values), max(0.0, *values)
    reach = (highest - lowest) or 1.0
    axes.set_xlim(lowest, lowest + reach)
    axes.set_ylim(len(values) - 0.5, -0.5)
    for at, value in enumerate(values):
        axes.text(
            lowest + 0.04 * reach,
            at,
            f"{value:#.3g}",
            va="center",
            fontsize=min(7.5, 0.75 * row),
            color="black",
        )
    axes.set_title(name.replace(" ", "\n"), fontsize=8, color=INK, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
