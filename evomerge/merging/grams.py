"""The Gram matrices of seeds in each cell of their flat vectors, in one pass over the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.bank import Bank
from evomerge.merging.fingerprint import fingerprint
from evomerge.merging.flat import Flat, flattened, grids
from evomerge.merging.shelf import Shelf
from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source

__all__ = ["matrices", "measure"]

PIECE = 1 << 20
"""Elements of each seed that are in float64 at a time."""
FORGET_BYTES = 256 << 20
"""Read before the files' pages are let go."""


def measure(
    seeds: Sequence[Source],
    like: Source,
    where: Sequence[Selector],
    resolution: int,
    shelf: Shelf | None = None,
) -> list[Grams]:
    """Each chromosome's Gram matrices of the seeds, summed in float64 over the weights as stored.

    They are kept on disk under the seeds' fingerprints: content would take as long to read as the
    matrices to compute.

    Args:
        like: the model whose order of tensors is the flat vector's.
        where: the chromosomes, the first that selects a tensor having it.

    Raises:
        SourceError: a seed cannot be read, or lacks a tensor.
        RecipeError: a chromosome is left without a tensor.
    """
    cells = grids(like, where, resolution, "chromosomes")
    edges = [list(grid.edges) for grid in cells]
    what = ("grams of segments", [one.model_dump_json() for one in where], edges)
    found = (shelf or Shelf.of_user()).get(
        repr(what),
        [fingerprint(seed) for seed in seeds],
        torch.device("cpu"),
        lambda: _measured(seeds, like, where, cells),
    )
    return [Grams(grid, one.numpy()) for grid, one in zip(cells, found, strict=True)]


def matrices(request: Mapping[str, Any]) -> list[Any]:
    """`measure` from plain data to plain data, for a caller in another process."""
    found = measure(
        [Source.model_validate(one) for one in request["seeds"]],
        Source.model_validate(request["like"]),
        [Selector.model_validate(one) for one in request["where"]],
        request["resolution"],
    )
    return [grams.matrices.tolist() for grams in found]


def _measured(
    seeds: Sequence[Source], like: Source, where: Sequence[Selector], cells: Sequence[Grid]
) -> tuple[Tensor, ...]:
    bank = Bank(dict.fromkeys([*seeds, like]))
    flats = flattened(like, where, "chromosomes", bank)
    return tuple(
        _of_chromosome(flat, grid, seeds, bank) for flat, grid in zip(flats, cells, strict=True)
    )


def _of_chromosome(flat: Flat, grid: Grid, seeds: Sequence[Source], bank: Bank) -> Tensor:
    """(cells, seeds, seeds)."""
    edges = np.array(grid.edges)
    found = torch.zeros(len(edges) - 1, len(seeds), len(seeds), dtype=torch.float64)
    held = 0
    for name, start in flat.starts.items():
        tensors = [bank.weights(seed, name).reshape(-1) for seed in seeds]
        end = start + tensors[0].numel()
        first = int(np.searchsorted(edges, start, side="right")) - 1
        last = int(np.searchsorted(edges, end))
        for cell in range(first, last):
            begin, stop = max(int(edges[cell]), start), min(int(edges[cell + 1]), end)
            for at in range(begin, stop, PIECE):
                part = slice(at - start, min(at + PIECE, stop) - start)
                rows = torch.stack([tensor[part].double() for tensor in tensors])
                found[cell] += rows @ rows.T
        held += sum(tensor.nbytes for tensor in tensors)
        del tensors
        if held > FORGET_BYTES:
            bank.forget()
            held = 0
    return found
