"""The fewest faults with which a seed still breaks a law."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from evomerge.simulation.plan import SimulatedFault
from evomerge.simulation.play import Played

__all__ = ["narrow"]


def narrow(played: Played, again: Callable[[Iterable[SimulatedFault]], Played]) -> Played:
    """Leave out one fault after the other, for as long as a law is broken without it.

    `again` plays the same search with the faults that it is given. What comes back breaks a law as
    `played` does, though perhaps another one.
    """
    left_out = True
    while left_out:
        left_out = False
        for fault in played.faults:
            fewer = again(other for other in played.faults if other != fault)
            if fewer.broken is not None:
                played, left_out = fewer, True
    return played
