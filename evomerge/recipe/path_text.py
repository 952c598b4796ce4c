"""A stack's path in words: `math 0-14, json 15-26, 28 x0.93, math 29`."""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.recipe.tree import Hop, Stack

__all__ = ["path_text", "runs_again"]


def path_text(stack: Stack) -> str:
    """The layers in the order in which they run, consecutive ones as a range.

    An input is named where it is not that of the hop before. A range is followed by its scale, or
    by the smallest and the largest where its hops differ in it. A scale of 1 is left out.
    """
    said, of = [], ""
    for run in _runs(stack):
        said.append(_layers(run) if run[0].of == of else f"{run[0].of} {_layers(run)}")
        of = run[0].of
    return ", ".join(said)


def runs_again(stack: Stack) -> tuple[bool, ...]:
    """For each hop, whether its layer has run before."""
    seen: set[tuple[str, int]] = set()
    again = []
    for hop in stack.hops:
        again.append((hop.of, hop.layer) in seen)
        seen.add((hop.of, hop.layer))
    return tuple(again)


def _runs(stack: Stack) -> Iterator[list[Hop]]:
    """The hops, cut wherever the next one is not the next layer of the same input."""
    run: list[Hop] = []
    for hop in stack.hops:
        if run and (hop.of, hop.layer) != (run[-1].of, run[-1].layer + 1):
            yield run
            run = []
        run.append(hop)
    yield run


def _layers(run: list[Hop]) -> str:
    first, last = run[0], run[-1]
    layers = f"{first.layer}" if len(run) == 1 else f"{first.layer}-{last.layer}"
    scales = sorted({f"{hop.scale:.3g}" for hop in run}, key=float)
    if scales == ["1"]:
        return layers
    span = scales[0] if len(scales) == 1 else f"{scales[0]} to {scales[-1]}"
    return f"{layers} x{span}"
