"""The Gram matrices of seeds in each cell of their flat vectors, in one pass over the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.bank import Bank
from evomerge.merging.disk_cache import DiskCache
from evomerge.models.fingerprint import fingerprint
from evomerge.models.flat import Flat, flattened, grids
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
    disk_cache: DiskCache | None = None,
    *,
    piece: int = PIECE,
    forget_bytes: int = FORGET_BYTES,
) -> list[Grams]:
    """Each chromosome's Gram matrices of the seeds, summed in float64 over the weights as stored.

    They are kept on disk under the seeds' fingerprints: content would take as long to read as the
    matrices to compute.

    Args:
        like: the model whose order of tensors is the flat vector's.
        where: the chromosomes, the first that selects a tensor having it.
        piece: elements of each seed that are in float64 at a time.
        forget_bytes: read before the files' pages are let go.

    Raises:
        SourceError: a seed cannot be read, or lacks a tensor.
        RecipeError: a chromosome is left without a tensor.
    """
    cells = grids(like, where, resolution, "chromosomes")
    edges = [list(grid.edges) for grid in cells]
    what = ("grams of segments", [selector.model_dump_json() for selector in where], edges)
    tensors = (disk_cache or DiskCache.of_user()).get(
        repr(what),
        [fingerprint(seed) for seed in seeds],
        torch.device("cpu"),
        lambda: _measured(seeds, like, where, cells, piece, forget_bytes),
    )
    return [Grams(grid, sums.numpy()) for grid, sums in zip(cells, tensors, strict=True)]


def matrices(request: Mapping[str, Any]) -> list[Any]:
    """`measure` from plain data to plain data, for a caller in another process.

    Torch gets one thread: it would cut sums by how many it has, and a resumed search compares what
    it asks to the last digit. Cells are summed side by side instead.
    """
    torch.set_num_threads(1)
    measured = measure(
        [Source.model_validate(seed) for seed in request["seeds"]],
        Source.model_validate(request["like"]),
        [Selector.model_validate(selector) for selector in request["where"]],
        request["resolution"],
    )
    return [grams.matrices.tolist() for grams in measured]


def _measured(
    seeds: Sequence[Source],
    like: Source,
    where: Sequence[Selector],
    cells: Sequence[Grid],
    piece: int,
    forget_bytes: int,
) -> tuple[Tensor, ...]:
    bank = Bank(dict.fromkeys([*seeds, like]))
    flats = flattened(like, where, "chromosomes", bank)
    return tuple(
        _of_chromosome(flat, grid, seeds, bank, piece, forget_bytes)
        for flat, grid in zip(flats, cells, strict=True)
    )


def _of_chromosome(
    flat: Flat, grid: Grid, seeds: Sequence[Source], bank: Bank, piece: int, forget_bytes: int
) -> Tensor:
    """(cells, seeds, seeds)."""
    edges = np.array(grid.edges)
    sums = torch.zeros(len(edges) - 1, len(seeds), len(seeds), dtype=torch.float64)
    held = 0
    with ThreadPoolExecutor() as pool:
        for name, start in flat.starts.items():
            tensors = [bank.weights(seed, name).reshape(-1) for seed in seeds]
            inside = (edges - start).clip(0, tensors[0].numel()).tolist()
            first = int(np.searchsorted(edges, start, side="right")) - 1
            last = int(np.searchsorted(edges, start + tensors[0].numel()))
            parts = [tensors] * (last - first), inside[first:last], inside[first + 1 : last + 1]
            for cell, gram in enumerate(pool.map(partial(_gram, piece), *parts), start=first):
                sums[cell] += gram
            held += sum(tensor.nbytes for tensor in tensors)
            del tensors, parts
            if held > forget_bytes:
                bank.forget()
                held = 0
    return sums


def _gram(piece: int, tensors: Sequence[Tensor], start: int, end: int) -> Tensor:
    """(seeds, seeds) of a range of the flat tensors."""
    gram = torch.zeros(len(tensors), len(tensors), dtype=torch.float64)
    for at in range(start, end, piece):
        rows = torch.stack([tensor[at : min(at + piece, end)].double() for tensor in tensors])
        gram += rows @ rows.T
    return gram
