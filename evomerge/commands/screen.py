"""What a person reads in a terminal. Everything printed there goes through one of these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from evomerge.wording import visible

__all__ = ["Screen"]


class Screen(Console):
    """A console on which text is never an instruction: neither control sequences in it nor rich's
    markup are obeyed, wherever it came from. Style comes from styles alone."""

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        """`settings`: as rich's `Console` has them."""
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The pieces of what is printed, their text visible."""
        for piece in super().render(renderable, options):
            # What rich itself does to the terminal comes in pieces marked as control.
            yield piece if piece.control else Segment(visible(piece.text), piece.style)
