"""What the record of a search may say of the time that was spent on it."""

from __future__ import annotations

from evomerge.simulation.world import Broken, World

__all__ = ["ROUNDED_S", "Stopwatch"]

ROUNDED_S = 0.002
"""The record keeps milliseconds."""


class Stopwatch:
    """Runs over all sittings, and knows how much a killed driver may have lost."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._least_s = self._most_s = self._before_s = self._began_s = 0.0

    def begin(self, said_s: float) -> None:
        """A study is opened, and says this.

        Raises:
            Broken: it is more than was spent, or less than was told.
        """
        if not self._least_s - ROUNDED_S <= said_s <= self._most_s + ROUNDED_S:
            bounds = f"{self._least_s:.3f} to {self._most_s:.3f}"
            raise Broken(f"{said_s:.3f} s are on record, and {bounds} s were spent")
        self._before_s = self._least_s = self._most_s = said_s
        self._began_s = self._world.now_s

    def check(self, said_s: float) -> None:
        """A study that is open says this.

        Raises:
            Broken: it is wrong.
        """
        self._most_s = self._before_s + self._world.now_s - self._began_s
        if abs(said_s - self._most_s) > ROUNDED_S:
            raise Broken(f"{said_s:.3f} s are said, and {self._most_s:.3f} s were spent")

    def mark(self) -> None:
        """What was spent by now is on record, whatever happens next."""
        self._least_s = self._most_s = self._before_s + self._world.now_s - self._began_s

    def stop(self) -> None:
        """A sitting ends, however."""
        self._most_s = self._before_s + self._world.now_s - self._began_s

    def end(self) -> None:
        """A sitting ends well: all of it is on record."""
        self.mark()
