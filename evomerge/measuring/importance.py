"""How much each component of each layer is expected to matter to merges of some parents.

AP-BMM (arXiv 2512.09972): per layer the relative change of the weights, and how far the parents'
hidden states are apart on a few prompts. Each is squashed by its median and its median absolute
deviation, their mean is smoothed over depth by (1, 2, 1) / 4 and kept within [0.05, 1].
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evomerge.errors import UserError
from evomerge.measuring.live import open_live
from evomerge.measuring.settings import MeasureSettings
from evomerge.measuring.text import windows
from evomerge.merging.bank import Bank
from evomerge.models.anatomy import Anatomy
from evomerge.models.importance import FILE, MeasuredImportance, PartImportance
from evomerge.models.statistics import described
from evomerge.publish import whole_folder
from evomerge.recipe.selector import Place
from evomerge.recipe.source import Source

__all__ = ["fused", "measure_importance", "squashed"]

Array = NDArray[np.float64]
Key = tuple[str | None, int | None, str | None]
"""Tower, layer, component."""

FLOOR = 0.05
"""No part is ever without importance: what was measured is a guess."""


def measure_importance(
    base: Source | None,
    parents: Mapping[str, Source],
    out: Path,
    *,
    text: Path | None,
    settings: MeasureSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Measure the parents against the base (their mean where there is none) into a new folder.

    Without a text the weights alone are looked at. One model is in memory at a time.

    Raises:
        UserError: no parents, `out` exists, or text or models are unfit.
    """
    if not parents:
        raise UserError("importance is measured of parents, and there are none")
    models = {**({} if base is None else {"": base}), **parents}
    bank = Bank(models.values())
    donor = next(iter(models.values()))
    anatomy = bank.inventory(donor).anatomy
    with whole_folder(out) as folder:
        kept, matrices = _changes(bank, base, list(parents.values()), anatomy)
        changes = {key: float(np.mean(values)) for key, values in kept.items()}
        how: dict[str, object] = {"text": None}
        distances: Sequence[float] | None = None
        if text is not None:
            read = [*parents.values()]
            if len(read) == 1 and base is not None:
                read.append(base)
            depth = anatomy.layers
            distances, how = _distances(bank, read, depth, text, settings, progress)
        main = None if anatomy.main is None else anatomy.main.tower
        about = MeasuredImportance(
            models={name or "base": described(source) for name, source in models.items()},
            measured=how,
            parts=tuple(_parts(changes, matrices, distances, main)),
        )
        written = about.model_dump_json(indent=2, exclude_defaults=True)
        (folder / FILE).write_text(written + "\n", encoding="utf-8")


def squashed(values: Array) -> Array:
    """1 / (1 + exp(-(x - median) / MAD)), (n,) in (0, 1); one half where all are equal.

    Where more than half of them are equal, so that the median absolute deviation is 0, the mean
    absolute deviation takes its place: adapters leave most components alone.
    """
    off = values - np.median(values)
    scale = float(np.median(np.abs(off))) or float(np.abs(off).mean()) or 1.0
    return 1 / (1 + np.exp(-np.clip(off / scale, -50, 50)))


def fused(changes: Array, distances: Array | None) -> Array:
    """(depth, components) of `changes`, nan where a layer has no such component, and (depth,) of
    `distances` -> (depth, components) of importance in [0.05, 1].

    What no parent changes has no importance of its own, however far its states are apart: it has
    the floor, or what its neighbours in depth give it by smoothing.
    """
    there = ~np.isnan(changes)
    joined = np.full(changes.shape, np.nan)
    joined[there] = squashed(changes[there])
    if distances is not None:
        joined = 0.5 * joined + 0.5 * squashed(distances)[:, None]
    joined[there & (changes == 0)] = 0.0
    return np.clip(_smoothed(joined), FLOOR, 1.0)


def _smoothed(values: Array) -> Array:
    """Along the first axis by (1, 2, 1) / 4; of a neighbour that is not there the own value."""
    before = np.vstack([values[:1], values[:-1]])
    after = np.vstack([values[1:], values[-1:]])
    before, after = (np.where(np.isnan(near), values, near) for near in (before, after))
    smooth: Array = (before + 2 * values + after) / 4
    return smooth


def _changes(
    bank: Bank, base: Source | None, parents: Sequence[Source], anatomy: Anatomy
) -> tuple[dict[Key, list[float]], dict[Key, int]]:
    """Relative changes of the tensors that count, and how many matrices there are, by part."""
    of_matrices: dict[Key, list[float]] = {}
    of_vectors: dict[Key, list[float]] = {}
    matrices: dict[Key, int] = {}
    for name in anatomy.names:
        having = [parent for parent in parents if name in bank.inventory(parent).tensors]
        if not having or (base is not None and name not in bank.inventory(base).tensors):
            continue
        weights = [bank.tensor(parent, name) for parent in having]
        if len({weight.shape for weight in weights}) > 1:
            continue  # vocabularies of their own
        origin = torch.stack(weights).mean(0) if base is None else bank.tensor(base, name)
        if origin.shape != weights[0].shape:
            continue
        size = float(origin.norm()) or 1.0
        key = _key(anatomy.place(name))
        ratios = [float((weight - origin).norm()) / size for weight in weights]
        is_matrix = origin.ndim > 1
        matrices[key] = matrices.get(key, 0) + is_matrix
        (of_matrices if is_matrix else of_vectors).setdefault(key, []).extend(ratios)
    return of_vectors | of_matrices, matrices


def _distances(
    bank: Bank,
    models: Sequence[Source],
    depth: int,
    text: Path,
    settings: MeasureSettings,
    progress: Callable[[int, int], None],
) -> tuple[list[float], dict[str, object]]:
    """For each layer the mean over prompts and pairs of models of 1 - cos of their mean states."""
    pooled: list[torch.Tensor] = []
    prompts: list[list[int]] = []
    for number, source in enumerate(models):
        live = open_live(source, bank, device=settings.device, length=settings.length)
        if not prompts:
            limits = {"length": settings.length, "limit": settings.examples}
            prompts = list(windows(text, live.tokenizer, **limits))
        states = []
        for place, tokens in enumerate(prompts, start=1):
            with torch.no_grad():
                _, hidden = live.run(tokens, range(depth))
            states.append(torch.stack([state.mean(0).cpu() for state in hidden]))
            progress(number * len(prompts) + place, len(models) * len(prompts))
        pooled.append(torch.stack(states))  # (prompts, layers, hidden)
        del live
    apart = [
        1 - torch.nn.functional.cosine_similarity(a, b, dim=-1).mean(0)
        for a, b in itertools.combinations(pooled, 2)
    ]
    distances = torch.stack(apart).mean(0).clamp(min=0).tolist()
    tokens_read = sum(map(len, prompts))
    how = {"text": text.name, "examples": len(prompts), "tokens": tokens_read}
    return distances, how


def _parts(
    changes: Mapping[Key, float],
    matrices: Mapping[Key, int],
    distances: Sequence[float] | None,
    main: str | None,
) -> Iterable[PartImportance]:
    outside = {key: change for key, change in changes.items() if key[1] is None}
    alone = squashed(np.array(list(outside.values()))) if outside else np.array([])
    for (key, change), importance in zip(outside.items(), alone, strict=True):
        kept = FLOOR if change == 0 else max(float(importance), FLOOR)
        yield _part(key, change, matrices, None, kept, main)
    inside = [key for key in changes if key[1] is not None]
    for tower in dict.fromkeys(tower for tower, _, _ in inside):
        layers = sorted({layer for own, layer, _ in inside if own == tower and layer is not None})
        columns = list(dict.fromkeys(part for own, _, part in inside if own == tower))
        grid = np.full((layers[-1] + 1, len(columns)), np.nan)
        for layer, (column, part) in itertools.product(layers, enumerate(columns)):
            grid[layer, column] = changes.get((tower, layer, part), np.nan)
        of_tower = distances if tower == main and distances else None
        apart_by_layer = None if of_tower is None else np.array(of_tower)[: len(grid)]
        joined = fused(grid, apart_by_layer)
        for layer, (column, part) in itertools.product(layers, enumerate(columns)):
            key = (tower, layer, part)
            if key in changes:
                apart = None if of_tower is None else of_tower[layer]
                yield _part(key, changes[key], matrices, apart, float(joined[layer, column]), main)


def _part(
    key: Key,
    change: float,
    matrices: Mapping[Key, int],
    distance: float | None,
    importance: float,
    main: str | None,
) -> PartImportance:
    tower, layer, component = key
    return PartImportance.model_validate(
        {
            "tower": tower,
            "main": tower == main,
            "layer": layer,
            "component": component,
            "matrices": matrices.get(key, 0),
            "change": round(change, 6),
            "distance": None if distance is None else round(distance, 6),
            "importance": round(importance, 4),
        }
    )


def _key(place: Place) -> Key:
    return place.tower, place.layer, place.component
