"""What is going to happen in a simulated world, in the order of its time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from evomerge.simulation.world import World

__all__ = ["Events"]


class Events:
    """Happen when the time comes to them; who waits lets the time pass."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let it happen so much later; never, if that is infinite."""
        heapq.heappush(self._events, (self._world.now_s + seconds, next(self._order), event))

    @property
    def is_empty(self) -> bool:
        """Whether nothing more happens but faults of the world."""
        return not self._events

    def next_s(self) -> float:
        """When something happens next, a fault of the world included; infinite, if nothing does."""
        times = [self._events[0][0]] if self._events else []
        fault_s = self._world.next_fault_s()
        if fault_s is not None:
            times.append(max(fault_s, self._world.now_s))
        return min(times, default=float("inf"))

    def advance(self) -> None:
        """Go to the next moment, and let all happen that happens by then."""
        self._world.now_s = max(self._world.now_s, self.next_s())
        while self._events and self._events[0][0] <= self._world.now_s:
            heapq.heappop(self._events)[2]()
