"""The methods of the published comparison, as configurations of evomerge's optimizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cma
import cmaes
import numpy as np
from network import PARAMETERS

from evomerge.optimizers.base import Observation, Optimizer, Proposal, Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import FloatGene, Genome

__all__ = [
    "PRE_TRAINED",
    "REACH",
    "SCRATCH",
    "SPACE",
    "STD",
    "CmaEs",
    "FullCmaEs",
    "SepCmaEs",
    "optimizer",
]

REACH = 4.0
"""No search here has come near a weight of this size; a space needs bounds."""
SPACE = tuple(FloatGene(name=f"w{i}", low=-REACH, high=REACH, start=0.0) for i in range(PARAMETERS))
STD = 0.01 / (2 * REACH)
"""The published mutation and step size, 0.01, as a share of a gene's range."""

Options = Mapping[str, Any]

_M2N2: Options = {"kind": "natural_niches", "archive": 20}
_GA: Options = {"kind": "genetic_merge", "archive": 20}
_GRID: Options = {"kind": "map_elites", "bins": 10, "draw": "quality"}

PRE_TRAINED: Mapping[str, Options] = {
    "M2N2": _M2N2,
    "M2N2, angle per part": {**_M2N2, "angle": "segment"},
    "M2N2 without attraction": {**_M2N2, "attraction": False},
    "M2N2 without split point": {**_M2N2, "split": "none"},
    "GA": _GA,
    "MAP-Elites": _GRID,
}
"""From two networks that know five digits each; no mutation."""

_MUTATED: Mapping[str, Options] = {
    "M2N2": _M2N2,
    "M2N2 without attraction": {**_M2N2, "attraction": False},
    "M2N2 without split point": {**_M2N2, "split": "none"},
    "M2N2 without crossover": {**_M2N2, "crossover": "none"},
    "GA": _GA,
    "GA without crossover": {**_GA, "crossover": "none"},
    "MAP-Elites": _GRID,
}
SCRATCH: Mapping[str, Options] = {
    **{name: {**options, "mutation": STD} for name, options in _MUTATED.items()},
}
"""From two random networks. CMA-ES with a full covariance, which the paper compares with, keeps
matrices of 19,210 x 19,210 (3 GB each) and decomposes one again and again: the authors give 15
hours for 10 runs of 50,000 passes on their CPU. So `FullCmaEs` runs only if it is asked for."""


def optimizer(options: Options, *, seed: int, budget: int) -> Optimizer:
    """A fresh optimizer over the network's weights."""
    return make(configure(dict(options), origin="digits"), SPACE, seed=seed, budget=budget)


class CmaEs:
    """A CMA-ES of the paper's settings as an optimizer, a generation at a time."""

    POPULATION = 20

    def __init__(self) -> None:
        self._points: dict[int, Any] = {}
        self._asked = 0

    def ask(self, limit: int) -> list[Proposal]:
        proposals = []
        for point in self._sample()[:limit]:
            self._points[self._asked] = point
            proposals.append(Proposal(self._asked, tuple(point.tolist())))
            self._asked += 1
        return proposals

    def tell(self, answers: Sequence[Result]) -> None:
        self._learn(
            [
                (self._points.pop(answer.id), -answer.fitness[0])
                for answer in answers
                if answer.fitness
            ]
        )

    def observe(self, observation: Observation) -> None:
        """It begins where it begins."""

    def recommend(self) -> Genome | None:
        return None

    def _sample(self) -> list[Any]:
        """A generation of points (PARAMETERS,)."""
        raise NotImplementedError

    def _learn(self, told: Sequence[tuple[Any, float]]) -> None:
        """From points and what is to be small there."""
        raise NotImplementedError


class SepCmaEs(CmaEs):
    """With a diagonal covariance (Ros and Hansen 2008), by the package `cmaes`.

    evomerge's own `{kind: cma_es, covariance: separable}` does the same and takes five times as
    long with 19,210 genes: it keeps its genes in bounds one by one.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._es = cmaes.SepCMA(
            mean=np.full(PARAMETERS, 0.5), sigma=STD, seed=seed, population_size=self.POPULATION
        )

    def _sample(self) -> list[Any]:
        return [self._es.ask() for _ in range(self.POPULATION)]

    def _learn(self, told: Sequence[tuple[Any, float]]) -> None:
        self._es.tell(list(told))


class FullCmaEs(CmaEs):
    """With a full covariance (Hansen 2016), by the package `cma`: matrices of 19,210 x 19,210."""

    def __init__(self, seed: int, size: int = PARAMETERS) -> None:
        """`size`: how many weights are searched."""
        super().__init__()
        options = {"seed": seed + 1, "popsize": self.POPULATION, "verbose": -9, "maxiter": np.inf}
        self._es = cma.CMAEvolutionStrategy(np.full(size, 0.5), STD, options)

    def _sample(self) -> list[Any]:
        return list(self._es.ask())

    def _learn(self, told: Sequence[tuple[Any, float]]) -> None:
        points, values = zip(*told, strict=True)
        self._es.tell(list(points), list(values))
