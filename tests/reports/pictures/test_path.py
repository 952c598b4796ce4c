"""What stands in the picture of a path, by the artists that draw it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack
from evomerge.recipe.yaml import dump_recipe
from evomerge.reports.pictures.path import path_figure, path_picture
from evomerge.reports.pictures.style import COLOURS, Format

INPUTS = ("math", "json", "co_$de$")


def stack(*hops: Hop, inputs: tuple[str, ...] = INPUTS, head: str = "math") -> Stack:
    return Stack(
        inputs={name: Source(model=f"./{name}") for name in inputs},
        embedding="math",
        head=head,
        hops=hops,
    )


def path(scales: tuple[float, ...] = (1.0,) * 6) -> Stack:
    steps = [("math", 0), ("math", 1), ("json", 2), ("math", 1), ("json", 2), ("math", 3)]
    return stack(*(Hop(of=of, layer=n, scale=s) for (of, n), s in zip(steps, scales, strict=True)))


def line(axes: Axes, name: str) -> Line2D:
    (found,) = [one for one in axes.get_lines() if one.get_gid() == name]
    return found


def points(drawn: Line2D) -> list[tuple[float, float]]:
    """(x, y) of each point of a line."""
    return [(float(x), float(y)) for x, y in np.asarray(drawn.get_xydata(), dtype=float)]


def numbers(axes: Axes) -> dict[float, str]:
    """Height -> what is written there."""
    return {
        round(float(y), 6): text.get_text()
        for y, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }


def band(axes: Axes, colour: str) -> tuple[float, float]:
    """The lowest and the highest place of the tinted band."""
    (found,) = [
        one
        for one in axes.patches
        if isinstance(one, Rectangle) and to_hex(one.get_facecolor()) == colour
    ]
    return found.get_y(), found.get_y() + found.get_height()


def dots(axes: Axes, name: str) -> dict[int, float]:
    """Hop -> the layer that its dot stands at, counted from the foot of the input's band."""
    drawn = line(axes, name)
    low, high = band(axes, to_hex(str(drawn.get_color())))
    found = {}
    for hop, y in points(drawn):
        assert low < y < high
        found[int(hop)] = round(y - low - 0.5, 6)
    return found


def test_every_hop_stands_at_its_layer_in_its_models_colour() -> None:
    (axes,) = path_figure(path(), title="t").axes
    assert dots(axes, "hops of math") == {0: 0, 1: 1, 5: 3}
    assert dots(axes, "repeats of math") == {3: 1}
    assert dots(axes, "hops of json") == {2: 2}
    assert dots(axes, "repeats of json") == {4: 2}
    assert points(line(axes, "hops of co_$de$")) == []
    for name, colour in zip(INPUTS, COLOURS, strict=False):
        assert line(axes, f"hops of {name}").get_color() == colour
        assert line(axes, f"hops of {name}").get_markerfacecolor() == colour
        assert line(axes, f"repeats of {name}").get_markerfacecolor() == "white"
        (label,) = [text for text in axes.texts if text.get_text() == name]
        assert label.get_color() == colour
        assert not label.get_parse_math()
        low, high = band(axes, colour)
        assert low < label.get_position()[1] < high


def test_a_title_is_taken_as_written() -> None:
    figure = path_figure(path(), title="$t$")
    (title,) = [one for one in figure.findobj(Text) if one.get_text() == "$t$: 6 hops"]
    assert isinstance(title, Text)
    assert not title.get_parse_math()


def test_the_numbers_beside_a_band_are_its_layers() -> None:
    (axes,) = path_figure(path(), title="t", depths={"math": 4, "json": 30, "co_$de$": 4}).axes
    low, high = band(axes, COLOURS[1])
    assert high - low == pytest.approx(30)
    written = {y - low - 0.5: text for y, text in numbers(axes).items() if low < y < high}
    assert {round(layer): text for layer, text in written.items()} == {
        n: str(n) for n in (0, 5, 10, 15, 20, 25, 29)
    }


def test_one_line_goes_from_the_embedding_over_all_hops_to_the_head() -> None:
    (axes,) = path_figure(path(), title="t").axes
    way = points(line(axes, "way"))
    assert len(way) == 8
    names = ("hops of math", "repeats of math", "hops of json", "repeats of json")
    assert way[1:-1] == sorted(point for name in names for point in points(line(axes, name)))
    assert [way[0]] == points(line(axes, "embedding"))
    assert [way[-1]] == points(line(axes, "head"))
    assert way[0][1] < band(axes, COLOURS[0])[0] < band(axes, COLOURS[0])[1] < way[-1][1]
    assert points(line(axes, "rings")) == [way[1], way[-2]]


def test_the_head_may_be_another_inputs() -> None:
    (axes,) = path_figure(stack(Hop(of="math", layer=0), head="json"), title="t").axes
    assert line(axes, "head").get_color() == line(axes, "hops of json").get_color() == COLOURS[1]
    assert points(line(axes, "head"))[0][1] > band(axes, COLOURS[1])[1]


def test_scales_are_drawn_where_one_is_not_1() -> None:
    assert len(path_figure(path(), title="t").axes) == 1
    scales = (1.0, 0.9, 1.2, 1.0, -0.5, 1.0)
    _, strip = path_figure(path(scales), title="t").axes
    bars = [one for one in strip.patches if isinstance(one, Rectangle)]
    assert [bar.get_y() + bar.get_height() for bar in bars] == pytest.approx(scales)
    assert [bar.get_y() for bar in bars] == [1.0] * 6
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in bars] == list(range(6))
    of = {"math": COLOURS[0], "json": COLOURS[1]}
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [of[h.of] for h in path().hops]
    assert sorted(strip.get_yticks()) == [-0.5, 1.0]  # 1.2 would be written over 1


def words(figure: Figure) -> set[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return {text.get_text() for text in legend.get_texts()}


def test_the_legend_says_what_is_there() -> None:
    assert words(path_figure(path(), title="t")) == {
        "a layer runs",
        "it runs again",
        "first and last",
    }
    once = stack(Hop(of="math", layer=0), Hop(of="json", layer=1))
    assert words(path_figure(once, title="t")) == {"a layer runs", "first and last"}


def test_long_names_begin_and_end_as_they_do() -> None:
    name = "an-organisation-of-renown-a-model-of-7b-parameters-for-mathematics"
    figure = path_figure(stack(Hop(of="math", layer=9), inputs=("math", name)), title="t")
    (label,) = [one for one in figure.axes[0].texts if one.get_text().endswith("matics")]
    assert label.get_text().startswith("an-org")
    assert "\N{HORIZONTAL ELLIPSIS}" in label.get_text()


@pytest.mark.parametrize("hops", [1, 10, 192])
@pytest.mark.parametrize("inputs", [2, 4])
def test_everything_stands_inside_the_picture(hops: int, inputs: int) -> None:
    names = ("math", *(f"model{n}" for n in range(1, inputs)))
    steps = [(name, n) for name in names for n in range(32)]
    chosen = (steps * 3)[:hops]
    figure = path_figure(
        stack(*(Hop(of=of, layer=n, scale=0.9) for of, n in chosen), inputs=names), title="t"
    )
    assert figure.get_size_inches()[0] == 9
    assert 2 < figure.get_size_inches()[1] < 8.5
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.get_size_inches()[0]
    assert box.y1 <= figure.get_size_inches()[1]


MAGIC: dict[Format, bytes] = {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}


@pytest.mark.parametrize("format", MAGIC)
def test_a_picture_is_the_same_bytes_again(format: Format) -> None:
    scales = (1.0, 0.9, 1.2, 1.0, -0.5, 1.0)
    first, second = (path_picture(path(scales), format, title="$t$") for _ in range(2))
    assert first == second
    assert first.startswith(MAGIC[format])
    assert not re.search(rb"<dc:date>|CreationDate|Matplotlib v", first)


CODE = """
import sys
from pathlib import Path
from evomerge.reports.pictures.path import path_picture
from evomerge.recipe.yaml import parse_recipe
import yaml
recipe = parse_recipe(yaml.safe_load(sys.stdin), origin="stdin", folder=Path("/"))
sys.stdout.buffer.write(path_picture(recipe, "svg", title="t"))
"""


@pytest.mark.process
def test_another_process_draws_the_same_bytes() -> None:
    drawn = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            input=dump_recipe(path()).encode(),
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert drawn == {path_picture(path(), "svg", title="t")}
