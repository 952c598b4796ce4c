"""A clock that stands still while nobody looks at it, and nearly so while nothing can be heard.

A driver that is stopped for a while (its machine is suspended or moved, its disk does not answer)
has heard nothing in that time, which says nothing about its workers or about Ray: their answers
have come meanwhile, and are only taken up when it goes on. Nor can a worker be blamed for its
silence while all of Ray is silent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Attention"]

MOST_S = 2.0
"""The longest time between two looks that counts in full; who works looks more often."""
DEAF = 0.1
"""What a second counts while nothing can be heard: not nothing, so that nobody waits for good."""


class Attention:
    """Seconds in which the clock was looked at. Not for use by several threads at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds since whenever; it never goes back."""
        self._clock = clock
        self._looked = clock()
        self._seconds = 0.0

    def now_s(self, *, is_deaf: bool = False) -> float:
        """Never goes back; only differences mean something. `is_deaf`: nothing can be heard now."""
        now = self._clock()
        self._seconds += min(now - self._looked, MOST_S) * (DEAF if is_deaf else 1.0)
        self._looked = now
        return self._seconds
