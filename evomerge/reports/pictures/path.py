"""The picture of a data-flow recipe: hop by hop, which layer of which input runs, how scaled.

After the figure of evolved paths in Akiba et al. 2024, "Evolutionary Optimization of Model Merging
Recipes" (arXiv 2403.13187): steps along the path to the right, layers upwards, a colour a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evomerge.recipe.path_text import runs_again
from evomerge.recipe.tree import Stack
from evomerge.reports.pictures.style import (
    COLOURS,
    INK,
    WIDTH,
    Format,
    drawn,
    round_places,
    shortened,
)
from evomerge.wording import count

__all__ = ["path_figure", "path_picture"]

RING: Any = {"color": INK, "markerfacecolor": "none", "markeredgewidth": 1.0}

# Heights in points, a 72nd of an inch.
LAYERS = 290.0
"""All layers together, at most."""
ROW = 9.0
"""One layer, at most; of a model of few layers as much as makes `BAND`."""
BAND = 64.0
"""Height that the input's name needs."""
MARGIN = 7.0
"""Below and above an input's layers."""
OUTSIDE = 13.0
"""From them to the embedding, below, or the head, above."""
SCALES = 66.0
TITLES = 70.0


def path_picture(
    stack: Stack, format: Format, *, title: str, depths: Mapping[str, int] | None = None
) -> bytes:
    """The content of a picture file; `depths` as in `path_figure`."""
    return drawn(lambda: path_figure(stack, title=title, depths=depths), format)


def path_figure(stack: Stack, *, title: str, depths: Mapping[str, int] | None = None) -> Figure:
    """The path, and where a scale is not 1 a strip of the scales below it.

    `depths`: how many layers each input has; without it an input reaches up to the highest layer
    that runs of any of them.
    """
    bands = _bands(stack, depths)
    scaled = any(hop.scale != 1 for hop in stack.hops)
    strips = [bands.top * bands.row, *([SCALES] if scaled else [])]
    figure = Figure(figsize=(WIDTH, (sum(strips) + TITLES) / 72), layout="constrained")
    axes = figure.subplots(len(strips), 1, sharex=True, height_ratios=strips, squeeze=False)[:, 0]
    _draw_path(axes[0], stack, bands)
    if scaled:
        axes[0].spines["bottom"].set_visible(False)
        _draw_scales(axes[1], stack, bands)
    axes[-1].set_xlabel("hop (a step along the path)")
    axes[-1].set_xticks(round_places(len(stack.hops), 12))
    about = f"{shortened(title, 60)}: {count(len(stack.hops), 'hop')}"
    axes[0].set_title(about, loc="left", parse_math=False)
    return figure


@dataclass(frozen=True)
class _Bands:
    """Where layers are drawn, in rows from the bottom: the input that runs first is the lowest."""

    depths: Mapping[str, int]
    bottoms: Mapping[str, float]
    """Input -> the row of its layer 0."""
    top: float
    row: float
    """A row's height in points."""
    colours: Mapping[str, str]

    def at(self, name: str, layer: float) -> float:
        return self.bottoms[name] + layer


def _bands(stack: Stack, depths: Mapping[str, int] | None) -> _Bands:
    used = dict.fromkeys([stack.embedding, *(hop.of for hop in stack.hops), stack.head])
    names = [*used, *sorted(stack.inputs.keys() - used.keys())]
    if depths is None:
        depths = dict.fromkeys(names, 1 + max(hop.layer for hop in stack.hops))
    counts = [depths[name] for name in names]
    row = min(LAYERS / sum(counts), max(ROW, BAND / min(counts)))
    bottoms, top = {}, 0.0
    for name in names:
        bottoms[name] = top + (MARGIN + OUTSIDE * (name == stack.embedding)) / row + 0.5
        highest = bottoms[name] + depths[name] - 0.5
        top = highest + (MARGIN + OUTSIDE * (name == stack.head)) / row
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    return _Bands(depths, bottoms, top, row, colours)


def _draw_path(axes: Axes, stack: Stack, bands: _Bands) -> None:
    end = len(stack.hops)
    beside = max(1.0, 0.02 * end)
    below = bands.at(stack.embedding, -0.5 - OUTSIDE / bands.row)
    above = bands.at(stack.head, bands.depths[stack.head] - 0.5 + OUTSIDE / bands.row)
    heights = [below, *(bands.at(hop.of, hop.layer) for hop in stack.hops), above]
    steps = [-beside, *range(end), end - 1 + beside]
    _draw_bands(axes, bands)
    axes.plot(steps, heights, color="#9a9a9a", linewidth=0.7, zorder=2, gid="way")
    _draw_end(axes, "embedding", (steps[0], below), bands.colours[stack.embedding], "left")
    _draw_end(axes, "head", (steps[-1], above), bands.colours[stack.head], "right")
    _draw_hops(axes, stack, bands)
    _explain(axes, any(runs_again(stack)))
    axes.set_xlim(-2 * beside, end - 1 + 2 * beside)


def _draw_end(
    axes: Axes, word: str, at: tuple[float, float], colour: str, side: Literal["left", "right"]
) -> None:
    """A square, and beside it what it is."""
    axes.plot(*at, "s", color=colour, markersize=6, zorder=4, gid=word)
    offset = (7, 0) if side == "left" else (-7, 0)
    axes.annotate(
        word,
        at,
        offset,
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=8,
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _draw_hops(axes: Axes, stack: Stack, bands: _Bands) -> None:
    """A dot a hop, hollow where its layer has run before; rings around the first and the last."""
    hops, again = stack.hops, runs_again(stack)
    column = (WIDTH - 1.2) * 72 / len(hops)
    size = min(7.0, max(2.4, 0.8 * math.hypot(column, bands.row)))

    def draw(at: Sequence[int], **style: Any) -> None:
        heights = [bands.at(hops[t].of, hops[t].layer) for t in at]
        axes.plot(at, heights, "o", **style)

    for name, colour in bands.colours.items():
        dot = {"color": colour, "markersize": size, "markeredgewidth": 0.9, "zorder": 3}
        own = [t for t, hop in enumerate(hops) if hop.of == name]
        draw([t for t in own if not again[t]], gid=f"hops of {name}", **dot)
        repeats = [t for t in own if again[t]]
        draw(repeats, gid=f"repeats of {name}", markerfacecolor="white", **dot)
    draw([0, len(hops) - 1], gid="rings", markersize=size + 5, zorder=4, **RING)


def _draw_bands(axes: Axes, bands: _Bands) -> None:
    """A tinted band for each input, its name and the numbers of its layers."""
    ticks, labels = [], []
    for name, bottom in bands.bottoms.items():
        depth, colour = bands.depths[name], bands.colours[name]
        axes.axhspan(bottom - 0.5, bottom + depth - 0.5, color=colour, alpha=0.08, linewidth=0)
        beside: Any = {"rotation": 90, "ha": "right", "va": "center", "parse_math": False}
        middle, place = bottom + (depth - 1) / 2, axes.get_yaxis_transform()
        axes.text(-0.03, middle, "layer", transform=place, color=INK, fontsize=8, **beside)
        axes.text(
            -0.05,
            middle,
            shortened(name, round(depth * bands.row / 6.5)),
            transform=place,
            color=colour,
            fontsize=10,
            fontweight="bold",
            **beside,
        )
        shown = round_places(depth, 6)
        ticks += [bottom + layer for layer in shown]
        labels += [str(layer) for layer in shown]
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.set_ylim(0, bands.top)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)


def _draw_scales(axes: Axes, stack: Stack, bands: _Bands) -> None:
    """A bar from 1 to the scale of each hop."""
    scales = [hop.scale for hop in stack.hops]
    axes.bar(
        range(len(scales)),
        [scale - 1 for scale in scales],
        bottom=1,
        color=[bands.colours[hop.of] for hop in stack.hops],
        width=0.75,
        gid="scales",
    )
    axes.axhline(1, color="#888888", linewidth=0.7)
    axes.set_ylabel("scale" if stack.scaling == "stream" else "scale of\nlast MLP")
    lowest, highest = min(scales), max(scales)
    near = 0.15 * (max(highest, 1) - min(lowest, 1))
    axes.set_yticks([1, *(scale for scale in (lowest, highest) if abs(scale - 1) > near)])
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.tick_params(axis="y", labelsize=8)


def _explain(axes: Axes, again: bool) -> None:
    """The legend, above the path."""
    grey: Any = {"color": INK, "linestyle": "none", "marker": "o"}
    entries = [Line2D([], [], markersize=5, label="a layer runs", **grey)]
    if again:
        entries.append(
            Line2D([], [], markersize=5, markerfacecolor="white", label="it runs again", **grey)
        )
    entries.append(
        Line2D([], [], markersize=9, label="first and last", linestyle="none", marker="o", **RING)
    )
    axes.legend(
        handles=entries,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(entries),
        frameon=False,
        fontsize=8,
        handletextpad=0.3,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
