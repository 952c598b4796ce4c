"""Optimizer and schedule with a watch on them: what they are asked and told is a crossing."""

from __future__ import annotations

from collections.abc import Sequence

from evomerge.evaluators.base import Outcome
from evomerge.optimizers.base import Observation, Optimizer, Proposal, Result, needs_examples
from evomerge.recipe.digest import digest
from evomerge.recipe.genome import Genome
from evomerge.searching.schedule import Decision, Schedule, release, remembers
from evomerge.simulation.scenario import Scenario
from evomerge.simulation.schedules import PARTS
from evomerge.simulation.scores import candidate_failure, simulated_report
from evomerge.simulation.world import Broken, World
from evomerge.study.candidate import Candidate

__all__ = ["WatchedOptimizer", "WatchedSchedule"]


class WatchedOptimizer:
    """The real one; what it hears has to be what its own questions score."""

    def __init__(self, optimizer: Optimizer, scenario: Scenario, world: World) -> None:
        self._optimizer, self._scenario, self._world = optimizer, scenario, world
        self.needs_examples = needs_examples(optimizer)
        self._genomes: dict[int, Genome] = {}
        self._told: set[int] = set()

    def ask(self, limit: int) -> list[Proposal]:
        """See `Optimizer`."""
        self._world.cross("ask")
        proposals = self._optimizer.ask(limit)
        self._genomes |= {proposal.id: proposal.genome for proposal in proposals}
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """See `Optimizer`.

        Raises:
            Broken: a question was answered twice, or with what another one scored.
        """
        self._world.cross("tell", [result.id for result in results])
        for result in results:
            if result.id in self._told:
                raise Broken(f"the optimizer is told twice of question {result.id}")
            self._told.add(result.id)
            if result.fitness is not None:
                genome, tasks = self._genomes[result.id], result.tasks
                told = Observation(genome, result.fitness, result.examples, tasks)
                self._check(f"question {result.id}", told)
        self._optimizer.tell(results)

    def observe(self, observation: Observation) -> None:
        """See `Optimizer`."""
        self._world.cross("observe")
        self._check("a warm start", observation)
        self._optimizer.observe(observation)

    def recommend(self) -> Genome | None:
        """See `Optimizer`."""
        return self._optimizer.recommend()

    def _check(self, what: str, told: Observation) -> None:
        name = digest(self._scenario.space.recipe(told.genome))
        if candidate_failure(name):
            raise Broken(f"the optimizer hears of a fitness of {what}, which cannot be scored")
        whole = simulated_report(name)
        fitness = [self._scenario.objective(whole)]
        if self._scenario.schedule != "whole" or self._scenario.make_schedule:
            fitness += [
                (simulated_report(name, "search", part).tasks["sums"].value,) for part in PARTS
            ]
        is_known = any(is_close(told.fitness, own) for own in fitness)
        if not is_known and not self._scenario.tells_estimates:
            raise Broken(f"the optimizer hears {told.fitness} of {what}, which scores {fitness[0]}")
        if self.needs_examples:
            examples, tasks = self._scenario.objective.scores(whole)
            if told.examples != examples or not is_close(told.tasks or (), tasks):
                raise Broken(f"the optimizer hears the examples of another recipe of {what}")


class WatchedSchedule:
    """The real one; each call is a crossing."""

    def __init__(self, schedule: Schedule, world: World) -> None:
        self._schedule, self._world = schedule, world
        self.remembers = remembers(schedule)

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        self._world.cross("schedule", candidate.number)
        return self._schedule.next(candidate, so_far)

    def release(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `schedule.release`."""
        self._world.cross("release", candidate.number)
        return release(self._schedule, candidate, so_far)


def is_close(some: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the numbers differ by no more than a rounding."""
    return len(some) == len(others) and all(
        abs(a - b) < 1e-9 for a, b in zip(some, others, strict=True)
    )
