"""A data-flow search without a language model: tasks of a path, and the space of paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome

__all__ = ["Needs", "Networks", "Space"]

Array = NDArray[np.floating[Any]]
Path = tuple[NDArray[np.int64], Array]
"""Layers of the pool, and the scale of each hop."""


class Networks:
    """A pool of two residual networks' layers; examples are inputs and the hidden path's answers.

    Each block reads its input normalised, as a Llama's does: a scale weighs the old stream against
    what the block adds.
    """

    WIDTH, CLASSES, STEP, SHARED = 16, 8, 0.6, 0.55

    def __init__(self, seed: int, layers: int, *, scales: bool) -> None:
        rng = np.random.default_rng(seed)
        base = self._blocks(rng, layers)
        pool = [
            self.SHARED * base + (1 - self.SHARED**2) ** 0.5 * self._blocks(rng, layers)
            for _ in "AB"
        ]
        self._pool = (2 * np.concatenate(pool)).astype(np.float32)
        self._heads = rng.normal(size=(self.WIDTH, 2, self.CLASSES)).astype(np.float32)
        early, late = range(layers * 2 // 3), range(layers // 2, layers)
        path = np.array([*early, *(layers + i for i in late)])
        spread = rng.normal(0, 0.15, len(path)) if scales else np.zeros(len(path))
        self._path: Path = (path, np.exp(spread))

    def examples(self, count: int, seed: int) -> Any:
        inputs = np.random.default_rng(seed).normal(size=(count, self.WIDTH))
        return inputs, self._answers(inputs, [self._path])[0]

    def right(self, paths: Sequence[Path], examples: Any) -> Array:
        """(paths,): shares of examples that are right."""
        inputs, answers = examples
        right = (self._answers(inputs, paths) == answers).all(-1)
        return np.asarray(right.mean(-1))

    def _blocks(self, rng: np.random.Generator, layers: int) -> Array:
        shape = (layers, self.WIDTH, self.WIDTH)
        common = rng.normal(size=(1, *shape[1:]))
        return np.asarray((0.3 * common + 0.95 * rng.normal(size=shape)) / self.WIDTH**0.5)

    def _answers(self, inputs: Array, paths: Sequence[Path]) -> NDArray[np.int64]:
        """(paths, examples, heads); all paths together, as numpy costs by the call."""
        order = np.argsort([-len(path) for path, _ in paths], kind="stable")
        h = np.repeat(inputs[None].astype(np.float32), len(paths), 0)
        for hop in range(len(paths[order[0]][0])):
            going = [i for i in order if len(paths[i][0]) > hop]
            n = len(going)
            h[:n] *= np.array([paths[i][1][hop] for i in going], dtype=np.float32)[:, None, None]
            blocks = self._pool[[paths[i][0][hop] for i in going]]
            h[:n] += self.STEP * np.tanh(normalised(h[:n]) @ blocks)
        logits = np.einsum("pnw,whc->pnhc", normalised(h), self._heads)
        answers = np.empty(logits.shape[:-1], dtype=np.int64)
        answers[order] = logits.argmax(-1)
        return answers


def normalised(h: Array) -> Array:
    return np.asarray(h / np.sqrt(np.einsum("pnw,pnw->pn", h, h) / h.shape[-1] + 1e-12)[..., None])


class Needs:
    """Every example needs three layers, early ones of A or late ones of B, and is spoilt by two.

    It is right if its layers run, in order, none that spoils it does, and their scales are near
    enough. Paths of more than 1.5 times the pool's length are right half as often.
    """

    def __init__(self, seed: int, layers: int, *, scales: bool) -> None:
        rng = np.random.default_rng(seed)
        self._layers, self._scales = layers, scales
        self._wanted = np.array([*range(layers // 2), *range(layers + layers // 2, 2 * layers)])
        self._others = np.setdiff1d(np.arange(2 * layers), self._wanted)
        self._optimum = np.exp(rng.normal(0, 0.1, 2 * layers))

    def examples(self, count: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        needs = np.array([rng.choice(self._wanted, 3, replace=False) for _ in range(count)])
        spoilers = np.array([rng.choice(self._others, 2, replace=False) for _ in range(count)])
        return needs, spoilers, rng.uniform(0.1, 0.4, count)

    def right(self, paths: Sequence[Path], examples: Any) -> Array:
        return np.array([self._one(path, scales, *examples) for path, scales in paths])

    def _one(
        self, path: NDArray[np.int64], scales: Array, needs: Any, spoilers: Any, near: Any
    ) -> float:
        runs = np.zeros(2 * self._layers, dtype=bool)
        runs[path] = True
        off = np.zeros(2 * self._layers)
        off[path] = np.abs(np.log(scales / self._optimum[path])) if self._scales else 0.0
        first = np.full(2 * self._layers, -1)
        first[path[::-1]] = np.arange(len(path))[::-1]  # the first run of a layer counts
        place = first[np.sort(needs, axis=1)]
        ordered = (np.diff(place, axis=1) > 0).all(1)
        long = len(path) > 3 * self._layers
        right = runs[needs].all(1) & ~runs[spoilers].any(1) & ordered & (off[needs].max(1) < near)
        return float(right.mean()) * (0.5 if long else 1.0)


@dataclass(frozen=True)
class Space:
    """Slots over the pool, `repeats` times in order: A's own path is likely at first, all else
    seldom; scales: none, one a slot, or one a transition."""

    layers: int
    repeats: int
    scales: str
    genes: tuple[Gene, ...] = field(init=False)

    def __post_init__(self) -> None:
        slots = 2 * self.layers * self.repeats
        rest = 0.1 if self.repeats == 1 else 0.03
        odds = [0.977 if i < self.layers else rest for i in range(slots)]
        choices = [
            ChoiceGene(name=f"slot{i}", choices=("skip", "run"), odds=(1 - p, p))
            for i, p in enumerate(odds)
        ]
        count = {"none": 0, "per_hop": slots, "pair": (2 * self.layers) ** 2}[self.scales]
        numbers = [FloatGene(name=f"scale{i}", low=0.5, high=1.5, start=1.0) for i in range(count)]
        object.__setattr__(self, "genes", (*choices, *numbers))

    def path(self, genome: Genome) -> Path:
        slots, pool = 2 * self.layers * self.repeats, 2 * self.layers
        used = np.flatnonzero([value == "run" for value in genome[:slots]])
        layers = used % pool
        if self.scales == "none" or not len(used):
            return layers, np.ones(len(used))
        numbers = 0.5 + np.array(genome[slots:], dtype=float)
        return layers, self._of_hops(numbers, used, 1.0)

    def active(self, genome: Genome) -> list[bool]:
        slots = 2 * self.layers * self.repeats
        matters = np.zeros(len(self.genes), dtype=bool)
        matters[:slots] = True
        used = np.flatnonzero([value == "run" for value in genome[:slots]])
        if self.scales == "per_hop":
            matters[slots + used] = True
        elif self.scales == "pair":
            matters[slots + self._pairs(used)] = True
        return [bool(m) for m in matters]

    def _of_hops(self, numbers: Array, used: NDArray[np.int64], first: float) -> Array:
        if self.scales == "per_hop":
            return numbers[used]
        return np.array([first, *numbers[self._pairs(used)]])

    def _pairs(self, used: NDArray[np.int64]) -> NDArray[np.int64]:
        pool = 2 * self.layers
        layers = used % pool
        return layers[:-1] * pool + layers[1:]
