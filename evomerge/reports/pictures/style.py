"""How every picture looks, and how it becomes a file.

The same data gives the same bytes, so that a picture in a repository changes with what it shows.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Literal

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from evomerge.wording import visible

__all__ = [
    "COLOURS",
    "Format",
    "INK",
    "PALE",
    "WIDTH",
    "colour",
    "drawn",
    "entitle",
    "explain",
    "round_places",
    "rule",
    "shortened",
    "spread",
    "wrapped",
]

Format = Literal["pdf", "png", "svg"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b5b5b")
"""Okabe and Ito's: people who see colours differently can tell them apart."""
INK = "#444444"
PALE = "#888888"
WIDTH = 9.0
"""Width of a picture in inches: 900 pixels, as wide as a README."""

STYLE: Any = {
    "axes.edgecolor": PALE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "evomerge",
    "text.parse_math": False,  # a dollar in a name is a dollar, wherever the name stands
    "xtick.color": INK,
    "ytick.color": INK,
}
TINT = 0.55
"""How far a colour goes towards white where there are more things than colours."""
UNDATED = {
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "png": {"Software": None},
    "svg": dict.fromkeys(("Creator", "Date")),
}
"""What a file would otherwise say of when and by what it was written: it changes every day."""


def colour(number: int) -> str:
    """The colour of item `number`, from 0: twice as many as `COLOURS`, the second half tints."""
    rounds, place = divmod(number, len(COLOURS))
    red, green, blue = to_rgb(COLOURS[place])
    tint = TINT * (rounds % 2)
    return to_hex((red + tint * (1 - red), green + tint * (1 - green), blue + tint * (1 - blue)))


def drawn(draw: Callable[[], Figure], format: Format) -> bytes:
    """The content of the file of a figure that is drawn in our style.

    Control characters in its text, which no SVG may hold, are written out.
    """
    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = draw()
        for text in figure.findobj(Text):
            text.set_text(visible(text.get_text()))
        for axis in figure.findobj(Axis):
            if isinstance(labels := axis.get_major_formatter(), FuncFormatter):
                labels.func = _visibly(labels.func)  # labels of ticks are made as they are drawn
        figure.savefig(file, format=format, metadata=UNDATED[format])
    return file.getvalue()


def entitle(figure: Figure, title: str) -> None:
    """What the picture is of, above it at the left, in as many lines as it needs."""
    figure.suptitle(
        wrapped(title, 92), x=0.01, ha="left", fontsize=11, parse_math=False, gid="title"
    )


def explain(figure: Figure, handles: Sequence[Artist]) -> None:
    """What its marks mean, below it in a row; each handle has its label."""
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )


def rule(axes: Axes, along: Literal["both", "y"] = "both") -> None:
    """Pale lines at the ticks, below all that is drawn."""
    axes.grid(axis=along, color="#eeeeee", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def _visibly(label: Callable[..., str]) -> Callable[..., str]:
    return lambda *place: visible(label(*place))


def round_places(count: int, limit: int) -> list[int]:
    """At most about `limit` of the numbers 0 to count - 1: the first, the last and round ones."""
    step = next(s * 10**e for e in range(9) for s in (1, 2, 5) if count <= limit * s * 10**e)
    return [*(n for n in range(0, count - 1, step) if count - 1 - n > step / 2), count - 1]


def shortened(name: str, limit: int) -> str:
    """The name in at most `limit` letters: its middle is left out, since siblings differ at either
    end."""
    if len(name) <= limit:
        return name
    end = limit // 2
    return name[: limit - 1 - end] + "\N{HORIZONTAL ELLIPSIS}" + name[len(name) - end :]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Heights for labels: near their places, in their order, and at least `gap` apart.

    `places`: descending. What does not fit below 1 and above 0 sticks out at the foot.
    """
    heights: list[float] = []
    for place in places:
        heights.append(min([place, *(height - gap for height in heights[-1:])]))
    if heights and heights[-1] < 0:
        foot = 0.0
        for i in reversed(range(len(heights))):
            heights[i] = max(heights[i], foot)
            foot = heights[i] + gap
    return heights


def wrapped(text: str, letters: int) -> str:
    """The text in lines of at most so many letters, so that a title is never cut."""
    return "\n".join(textwrap.wrap(text, letters, break_on_hyphens=False)) or text
