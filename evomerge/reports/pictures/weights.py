"""The picture of a recipe's weights: depth to the right, components below each other, and a panel
for each parent. Embedding, last norm and head stand apart, beside the layers.

Colours go by lightness alone, so that they can be read by everyone and in black and white; what is
below 0 is hatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from evomerge.reports.pictures.style import (
    WIDTH,
    Format,
    drawn,
    round_places,
    shortened,
    wrapped,
)
from evomerge.reports.weights import INSIDE, OUTSIDE, Panel, Parameter, WeightMap

__all__ = ["weights_figure", "weights_picture"]

COLOURS = colormaps["cividis"]
WRITTEN = 14
"""So many columns at most have their numbers written in them."""
ROW = 0.24
"""Inches that a component takes."""
PANELS = 24
"""Panels of one parameter, at most; the rest is counted."""
SIDES = ("embed-\nding", "last\nnorm", "head")


def weights_picture(maps: Sequence[WeightMap], format: Format, *, title: str) -> bytes:
    """The content of a picture file; `maps` as `weight_maps` makes them."""
    return drawn(lambda: weights_figure(maps, title=title), format)


def weights_figure(maps: Sequence[WeightMap], *, title: str) -> Figure:
    """Merge by merge and parameter by parameter, on one colour scale for each parameter."""
    blocks = [(map_, parameter) for map_ in maps for parameter in map_.parameters]
    heights = [_height(parameter) for _, parameter in blocks] or [0.3]
    heads = [wrapped(_head(map_), 104) for map_ in maps]
    lines = sum(head.count("\n") + 1 for head in heads)
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.75 + 0.17 * lines), layout="constrained")
    parts = np.atleast_1d(np.array(figure.subfigures(len(heights), 1, height_ratios=heights)))
    for part, (_, parameter) in zip(parts.ravel(), blocks, strict=False):
        _draw_parameter(part, parameter)
    said = [wrapped(title, 88), *heads]
    figure.suptitle("\n".join(said), x=0.01, ha="left", fontsize=10, parse_math=False, gid="title")
    return figure


def _head(map_: WeightMap) -> str:
    where = f"{map_.name}: " if map_.name else ""
    return where + "; ".join([map_.method, *map_.remarks])


def _table(parameter: Parameter) -> bool:
    """Whether a small table says it all: no value depends on the layer."""
    return all(panel.is_uniform and len(panel.outside) for panel in parameter.panels)


def _height(parameter: Parameter) -> float:
    count = min(len(parameter.panels), PANELS)
    if _table(parameter):
        return 0.3 * count + 0.75
    return sum(ROW * len(panel.inside) + 0.3 for panel in parameter.panels[:PANELS]) + 0.75


def _draw_parameter(part: SubFigure, parameter: Parameter) -> None:
    panels = parameter.panels[:PANELS]
    values = parameter.values()
    low, high = min(0.0, float(values.min())), float(values.max())
    norm = Normalize(low, high if high > low else low + 1)
    left = len(parameter.panels) - len(panels)
    called = parameter.name + (f" ({left} more inputs not shown)" if left else "")
    if _table(parameter):
        axes = part.subplots(1, 1)
        _draw_table(axes, panels, norm)
        shown: Any = axes
    else:
        shown = part.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axes, panel in zip(shown, panels, strict=True):
            _draw_panel(axes, panel, norm)
        last = shown[-1]
        many = panels[0].inside.shape[1]
        if len(panels[0].outside):
            ticks, labels = _layer_ticks(many)
            last.set_xticks(ticks, labels, fontsize=7.5)
            last.tick_params(axis="x", labelbottom=True)
            last.set_xlabel("layer", fontsize=8)
        else:
            last.set_xlabel("place in the weights: embedding, layers ascending, the rest")
            last.set_xticks([0, many], ["first", "last"], fontsize=7.5)
    bar = part.colorbar(ScalarMappable(norm, COLOURS), ax=shown, fraction=0.04, pad=0.015)
    bar.set_label(shortened(called, 44), fontsize=8, parse_math=False)
    bar.ax.tick_params(labelsize=7.5)
    bar.ax.spines[:].set_visible(False)


def _wide(layers: int) -> float:
    """Width of what stands beside the layers, in layers."""
    return max(1.0, layers / 14)


def _sides(layers: int) -> list[tuple[float, str]]:
    """(left edge, label) of embedding, last norm and head."""
    wide = _wide(layers)
    edges = (-1.4 * wide, layers + 0.4 * wide, layers + 1.6 * wide)
    return list(zip(edges, SIDES, strict=True))


def _layer_ticks(layers: int) -> tuple[list[float], list[str]]:
    places = round_places(layers, 16)
    sides = _sides(layers)
    ticks = [place + 0.5 for place in places] + [edge + _wide(layers) / 2 for edge, _ in sides]
    return ticks, [*map(str, places), *(label for _, label in sides)]


def _draw_panel(axes: Axes, panel: Panel, norm: Normalize) -> None:
    rows, layers = panel.inside.shape
    for row in range(rows):
        for layer in range(layers):
            _cell(axes, layer, rows - 1 - row, 1, 1, panel.inside[row, layer], norm, layers)
    if len(panel.outside):
        wide = _wide(layers)
        for (edge, _), value in zip(_sides(layers), panel.outside, strict=True):
            _cell(axes, edge, 0, wide, rows, value, norm, 0)
        axes.set_xlim(-1.6 * wide, layers + 2.8 * wide)
        axes.set_yticks(np.arange(rows) + 0.5, list(reversed(INSIDE)), fontsize=7)
    else:
        axes.set_xlim(0, layers)
        axes.set_yticks([])
    axes.set_ylim(0, rows)
    _bare(axes)
    axes.set_title(shortened(panel.name, 70), fontsize=8.5, loc="left", pad=2, parse_math=False)


def _cell(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    value: float,
    norm: Normalize,
    columns: int,
) -> None:
    """A coloured cell; with its number where there is room, hatched below 0, crossed if nothing."""
    if np.isnan(value):
        axes.add_patch(Rectangle((x, y), width, height, facecolor="white", edgecolor="#dddddd"))
        return
    below = value < 0
    colour = COLOURS(norm(value))
    light = 0.3 * colour[0] + 0.6 * colour[1] + 0.1 * colour[2]
    ink = "black" if light > 0.45 else "white"
    axes.add_patch(
        Rectangle(
            (x, y),
            width,
            height,
            facecolor=colour,
            edgecolor=ink if below else "white",
            hatch="////" if below else None,
            linewidth=0.0 if below or columns > 60 else 0.4,
        )
    )
    if columns <= WRITTEN:
        axes.text(
            x + width / 2,
            y + height / 2,
            f"{value:.2f}",
            ha="center",
            va="center_baseline",
            fontsize=7.5,
            color=ink,
        )


def _draw_table(axes: Axes, panels: Sequence[Panel], norm: Normalize) -> None:
    """Inputs below each other, components side by side; equal columns are one."""
    table = np.array(
        [[*panel.outside[:1], *panel.inside[:, 0], *panel.outside[1:]] for panel in panels]
    )
    names = [OUTSIDE[0], *INSIDE, "last norm", OUTSIDE[2]]
    if np.array_equal(table, table[:, :1] + 0 * table, equal_nan=True):
        table, names = table[:, :1], ["all weights"]
    rows, columns = table.shape
    for row, column in np.ndindex(rows, columns):
        _cell(axes, column, rows - 1 - row, 1, 1, float(table[row, column]), norm, 1)
    axes.set_xlim(0, columns)
    axes.set_ylim(0, rows)
    axes.set_xticks(np.arange(columns) + 0.5, names, fontsize=8)
    labels = [shortened(panel.name, 28) for panel in reversed(panels)]
    axes.set_yticks(np.arange(rows) + 0.5, labels, fontsize=8, parse_math=False)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
