"""CycleQD: a grid of elites for each task; the grids take turns at breeding a child.

Kuroki, Nakamura, Akiba and Tang, "Agent Skill Acquisition for Large Language Models via CycleQD",
ICLR 2025 (2410.14735), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from pydantic import Field

from evomerge.optimizers.populations.archive import Array
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.crossing import Crossing, CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.grid import Elite, EliteGrid
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import Genome

__all__ = ["Cycle", "CycleQd", "CycleQdConfig", "Moved", "aggregate", "elite_odds"]

M = TypeVar("M")

LEAST_TOTAL = 0.1
"""Weights of parents with a smaller sum are drawn again: the child would lie far outside."""
LOW, HIGH = 0.5, 0.8
"""What the worst and the best elite in one respect count there when parents are drawn."""
MARGIN = 0.15
"""How far the cells reach beyond the weakest and the strongest seed, as a share of their scores."""


class CycleQdConfig(PopulationConfig):
    """CycleQD (Kuroki et al. 2025): tasks take turns at being quality, the others are behaviour."""

    kind: Literal["cycle_qd"] = "cycle_qd"
    citation: ClassVar[str] = (
        "Kuroki et al. 2025, Agent Skill Acquisition for Large Language Models via CycleQD, ICLR,"
        " arXiv 2410.14735, section 3"
    )
    bins: Annotated[int, Field(ge=1)] = 15
    """Number of cells along each of the other tasks' scores."""
    draw: Literal["elite", "even"] = "elite"
    """How two elites are drawn: `elite`: better ones more often; `even`: all with the same
    probability."""
    spread: Annotated[float, Field(ge=0)] = 0.01
    """Standard deviation of the parents' weights around 1."""
    mutation: Annotated[float, Field(ge=0, le=1)] = 0.1
    """The largest share of the best seed's change (best at the quality task) that a child is moved
    by; 0: no movement."""

    def population(self) -> Cycle[Any]:
        """Grids without elites."""
        return Cycle(self)

    def drawn(self) -> tuple[str, str]:
        """Both parents are drawn in the same way."""
        return ("by the tasks' scores",) * 2 if self.draw == "elite" else ("at random",) * 2


class CycleQd(SteadyState[object]):
    """Every member is offered to every task's grid: there its quality is that task's score, its
    behaviour the others'. Proposal i breeds from the grid of task i mod K.

    A child of two is (w1 A + w2 B) / (w1 + w2), w ~ N(1, spread^2): on task vectors and on weights
    that is the same. It is then moved along the singular directions of the quality task's expert,
    by a random share of each; on genes, and on tables whose space names no base to tell directions
    from, towards the expert by one share.

    The recommendation is the paper's model at the end: the grids' champions, weighed by the softmax
    of their scores.
    """

    config = CycleQdConfig

    def __init__(self, config: CycleQdConfig, problem: Problem) -> None:
        problem.require_one_objective("cycle_qd")
        crossing = crossing_of(CrossingConfig(), problem, "cycle_qd")
        self.elites: Cycle[object] = config.population()
        super().__init__(
            problem,
            crossing,
            self.elites,
            warm_up=0,
            needs={"tasks"},
            variation=Moved(config, crossing, self.elites),
        )

    def recommend(self) -> Genome | None:
        """The champions of all grids, weighed by the softmax of their scores; None if all are
        one member.
        """
        body = aggregate(self.elites.champions(), self._crossing)
        return None if body is None else self._crossing.genome(body)


class Cycle(Generic[M]):
    """A grid a task, as one population."""

    def __init__(self, config: CycleQdConfig) -> None:
        self._config = config
        self.grids: list[EliteGrid[Member[M]]] = []
        """The grid of each task, in the tasks' order; none before the first seed."""
        self._seeds: list[tuple[Member[M], Array]] = []
        """Seeds with their scores (tasks,)."""
        self._scores: dict[int, MemberScores] = {}
        """Id -> scores, of the members that some grid holds."""
        self.version = 0

    @property
    def members(self) -> tuple[Member[M], ...]:
        """Each once, whichever grids hold it."""
        every = {elite.item.id: elite.item for grid in self.grids for elite in grid.elites}
        return tuple(every.values())

    def __len__(self) -> int:
        return len(self.members)

    def check(self, member_scores: MemberScores) -> None:
        """Accept all scores: tasks can always be compared."""

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Offer the member to every task's grid; a seed first moves the grids' ends."""
        if seed or not self.grids:
            self._seeds.append((member, member_scores.tasks))
            self._lay_out()
        self.version += self._offer(member, member_scores)

    def parents(self, number: int, rng: np.random.Generator) -> tuple[Member[M], Member[M]]:
        """Two elites of the grid whose turn it is."""
        elites = self.grids[number % len(self.grids)].elites
        odds = np.ones(len(elites))
        if self._config.draw == "elite":
            odds = elite_odds(np.array([[elite.fitness, *elite.behaviour] for elite in elites]))
        chosen = rng.choice(len(elites), min(2, len(elites)), replace=False, p=odds / odds.sum())
        return elites[int(chosen[0])].item, elites[int(chosen[-1])].item

    def fitness(self) -> Mapping[int, float]:
        """Each member's own."""
        return {member.id: self._scores[member.id].fitness for member in self.members}

    def expert(self, number: int) -> Member[M]:
        """The seed that is best at the task whose turn proposal `number` is."""
        task = number % len(self.grids)
        return max(self._seeds, key=lambda seed: (seed[1][task], -seed[0].id))[0]

    def champions(self) -> list[Elite[Member[M]]]:
        """The best of each grid, a task each."""
        return [max(grid.elites, key=lambda elite: elite.fitness) for grid in self.grids]

    def _lay_out(self) -> None:
        """Lay out cells from below the weakest to above the strongest seed; members stay."""
        kept = [(member, self._scores[member.id]) for member in self.members]
        scores = np.array([tasks for _, tasks in self._seeds])
        low = scores.min(axis=0) - MARGIN * np.abs(scores.min(axis=0))
        high = scores.max(axis=0) + MARGIN * np.abs(scores.max(axis=0))
        self.grids = [
            EliteGrid(
                np.delete(low, task).tolist(), np.delete(high, task).tolist(), self._config.bins
            )
            for task in range(scores.shape[1])
        ]
        for member, member_scores in kept:
            self._offer(member, member_scores)

    def _offer(self, member: Member[M], member_scores: MemberScores) -> bool:
        """Offer the member to every grid; whether some grid holds it now."""
        self._scores[member.id] = member_scores
        tasks = member_scores.tasks
        taken = [
            grid.add(Elite(member, float(tasks[task]), np.delete(tasks, task)))
            for task, grid in enumerate(self.grids)
        ]
        held = {member.id for member in self.members}
        self._scores = {id: scores for id, scores in self._scores.items() if id in held}
        return any(taken)


class Moved(Generic[M]):
    """The variation: a blend of two parents, moved towards the expert of the quality task."""

    def __init__(self, config: CycleQdConfig, crossing: Crossing[M], population: Cycle[M]) -> None:
        self._config, self._crossing, self._population = config, crossing, population

    def __call__(self, number: int, a: M, b: M, rng: np.random.Generator) -> M:
        body = self._crossing.blend(a, b, self._share(rng))
        if (reach := self._config.mutation) > 0:
            expert = self._population.expert(number)
            body = self._crossing.toward(body, expert.body, reach, number, rng)
        return body

    def _share(self, rng: np.random.Generator) -> float:
        """The second parent's share."""
        while True:
            first, second = 1.0 + self._config.spread * rng.standard_normal(2)
            if abs(first + second) >= LEAST_TOTAL:
                return float(second / (first + second))


def aggregate(champions: Sequence[Elite[Member[M]]], crossing: Crossing[M]) -> M | None:
    """sum_k beta_k champion_k, beta = softmax of their scores; None if all are one member."""
    if len({champion.item.id for champion in champions}) < 2:
        return None
    scores = np.array([champion.fitness for champion in champions])
    weights = np.exp(scores - scores.max()).tolist()
    body, total = champions[0].item.body, weights[0]
    for champion, weight in zip(champions[1:], weights[1:], strict=True):
        total += weight
        body = crossing.blend(body, champion.item.body, weight / total)
    return body


def elite_odds(respects: Array) -> Array:
    """(elites,): the product over respects (elites, respects) of 0.5 to 0.8, from the worst to the
    best there; where all are equal they count the same.
    """
    low, high = respects.min(axis=0), respects.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    odds: Array = np.prod(LOW + (respects - low) / spread * (HIGH - LOW), axis=1)
    return odds
