"""What a simulated search is of: an optimizer, a schedule, a budget, workers and their limits."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evomerge.config import Budget
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.optimizers.base import Optimizer
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.registry import OPTIMIZERS, configure
from evomerge.searching.schedule import Schedule
from evomerge.simulation.schedules import Hurdle, Overtaken, Trios
from evomerge.simulation.space import SimulatedSpace

__all__ = ["Scenario", "draw_scenario"]

SCHEDULES: Mapping[str, Callable[[], Schedule] | None] = {
    "whole": None,
    "hurdle": Hurdle,
    "trios": Trios,
    "overtaken": Overtaken,
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Authors simulate their own optimizer with `make_optimizer`, their schedule with
    `make_schedule`, over the examples of `evomerge.simulation.scores`."""

    seed: int
    optimizer: Mapping[str, Any] = field(default_factory=lambda: {"kind": "random"})
    """Settings, as in a job."""
    make_optimizer: Callable[[Problem], Optimizer] | None = None
    """Makes the optimizer instead; called again for each sitting."""
    schedule: str = "whole"
    """A key of `SCHEDULES`."""
    make_schedule: Callable[[], Schedule] | None = None
    """Makes the schedule instead; called again for each sitting."""
    tells_estimates: bool = False
    """Whether that tells the optimizer what no examples say by themselves: of stopped candidates,
    and of those whose fitness is estimated."""
    budget: Budget = field(default_factory=lambda: Budget(candidates=12))
    is_pool: bool = True
    """Whether the workers are those of the real pool, in processes that are simulated; else they
    are those of an executor that is careless: it hands over what came late, or twice."""
    workers: int = 2
    workers_per_node: int = 2
    nodes: int = 1
    """Of the pool: how many there are at first; with fewer places than workers it may grow."""
    max_attempts: int = 3
    timeout_s: float = 60.0
    is_of_choices: bool = False
    objectives: int = 1
    stale_after: int = 12
    is_shared: bool = False
    """Whether it is also played how a study is made in a database that is shared."""
    is_empty_folder: bool = False
    """Whether the study is made in a folder that is there, and empty."""

    @property
    def space(self) -> SimulatedSpace:
        """What is searched."""
        return SimulatedSpace(is_of_choices=self.is_of_choices)

    @property
    def objective(self) -> Objective:
        """What counts."""
        also: Any = ("layers",)[: self.objectives - 1]
        return Objective({"sums": 1.0, "words": 2.0}, ObjectiveConfig(also=also))

    @property
    def is_free_of_order(self) -> bool:
        """Whether the search finds the same in whatever order answers come."""
        kind = self.optimizer["kind"] if self.make_optimizer is None else None
        waits = not self.optimizer.get("asynchronous")
        is_whole = self.schedule == "whole" and self.make_schedule is None
        has_candidates_only = self.budget == Budget(candidates=self.budget.candidates or 1)
        is_free = kind == "random" or (kind == "cma_es" and waits) or self.workers == 1
        return is_free and is_whole and has_candidates_only and not self.is_of_choices

    def fresh_optimizer(self) -> Optimizer:
        """As it is before it is asked."""
        problem = Problem(
            genes=self.space.genes,
            seed=self.seed,
            objectives=self.objectives,
            workers=self.workers,
            budget=self.budget.candidates,
        )
        if self.make_optimizer is not None:
            return self.make_optimizer(problem)
        settings = configure(dict(self.optimizer), origin="simulation")
        optimizer: Optimizer = OPTIMIZERS.make(settings, problem)
        return optimizer

    def fresh_schedule(self) -> Schedule | None:
        """As it is before it is asked; None: the whole, at once."""
        make = self.make_schedule or SCHEDULES[self.schedule]
        return None if make is None else make()

    def __str__(self) -> str:
        return (
            f"{self.optimizer}, schedule {self.schedule}, {self.workers} workers,"
            f" budget {self.budget.model_dump(exclude_none=True)},"
            f" {'choices' if self.is_of_choices else 'numbers'}, {self.objectives} objectives,"
            f" {f'a pool on {self.nodes} nodes' if self.is_pool else 'a careless executor'}"
        )


_ONE: tuple[tuple[dict[str, Any], int], ...] = (
    ({"kind": "cma_es", "popsize": 6}, 6),
    ({"kind": "random"}, 4),
    ({"kind": "genetic"}, 4),
    ({"kind": "natural_niches", "mutation": 0.1}, 3),
    ({"kind": "map_elites", "mutation": 0.1}, 3),
    ({"kind": "genetic_merge", "mutation": 0.1}, 2),
    ({"kind": "cycle_qd"}, 2),
    ({"kind": "cma_niches", "archive": 6}, 2),
    ({"kind": "optuna", "sampler": "TPESampler"}, 1),
)
_SEVERAL: tuple[tuple[dict[str, Any], int], ...] = (
    ({"kind": "random"}, 2),
    ({"kind": "optuna", "sampler": "NSGAIISampler", "options": {"population_size": 6}}, 1),
)
"""Settings, and how often they are taken."""


def draw_scenario(seed: int) -> Scenario:
    """The search of a seed."""
    rng = random.Random(f"scenario {seed}")
    objectives = rng.choices((1, 2), (9, 1))[0]
    several = _ONE if objectives == 1 else _SEVERAL
    optimizer = rng.choices([s for s, _ in several], [odds for _, odds in several])[0]
    # A generation of CMA-ES has to be whole trios, or a trio waits for the next one in vain; what
    # the schedules tell of a stopped candidate is one number.
    schedule = rng.choices(list(SCHEDULES), (6, 2, 2, 2))[0] if objectives == 1 else "whole"
    count = 3 + 3 * rng.randint(1, 4)  # landmarks, and whole trios
    budget: dict[str, Any] = {"candidates": count}
    if schedule != "trios":
        budget = rng.choices(
            (
                {"candidates": count},
                {"evaluations": count},
                {"candidates": count, "evaluations": count - 2},
                {"candidates": count, "patience": 4},
                {"candidates": count, "target": (0.75,) + (-10.0,) * (objectives - 1)},
                {"seconds": 4.0 * count},
            ),
            (8, 6, 1, 1, 1, 3),
        )[0]
    elif optimizer["kind"] not in ("cma_es", "random"):
        optimizer = {"kind": "random"}  # the others may want a whole trio's results before its end
    workers, workers_per_node = rng.choices((1, 2, 3, 5), (3, 3, 2, 1))[0], rng.choice((1, 2))
    return Scenario(
        seed=seed,
        optimizer=optimizer,
        schedule=schedule,
        budget=Budget(**budget),
        workers=workers,
        workers_per_node=workers_per_node,
        # A trio of which one is lost for good would wait for another.
        max_attempts=rng.choice((1, 2, 3)) if schedule != "trios" else 20,
        is_of_choices=schedule != "trios" and rng.random() < 0.25,
        objectives=objectives,
        is_pool=rng.random() < 0.6,
        is_empty_folder=rng.random() < 0.5,
        is_shared=rng.random() < 1 / 64,
        nodes=rng.choice((1, -(-workers // workers_per_node))),
    )
