"""A loss to which few genes matter, and how far an optimizer comes on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evomerge.optimizers.base import Optimizer, Result
from evomerge.recipe.genome import FloatGene

LITTLE = 0.05
"""The importance that is told of a gene which does not matter."""


@dataclass(frozen=True)
class SparseLoss:
    """sum_i f_i (x_i - t_i)^2 over genes in [0, 1], f = 1 for those that matter, and else 0.02."""

    size: int
    matter: tuple[int, ...]

    @property
    def genes(self) -> tuple[FloatGene, ...]:
        return tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(self.size))

    @property
    def right(self) -> tuple[float, ...]:
        """(genes,): the importance as it is."""
        return tuple(1.0 if i in self.matter else LITTLE for i in range(self.size))

    @property
    def wrong(self) -> tuple[float, ...]:
        """(genes,): the importance the other way round."""
        return tuple(LITTLE if i in self.matter else 1.0 for i in range(self.size))

    def best(self, optimizer: Optimizer, candidates: int) -> list[float]:
        """(candidates,): the least loss after each of them, eight asked for at a time."""
        factors = np.where(np.isin(np.arange(self.size), self.matter), 1.0, 0.02)
        targets = np.random.default_rng(5).uniform(0.1, 0.9, self.size)
        losses: list[float] = []
        while len(losses) < candidates:
            for q in optimizer.ask(8):
                losses.append(float(factors @ (np.array(q.genome, dtype=float) - targets) ** 2))
                optimizer.tell([Result(q.id, (-losses[-1],))])
        return [float(loss) for loss in np.minimum.accumulate(losses)[:candidates]]
