"""What an optimizer hears of a candidate: its fitness, scores and errors, as it needs them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import (
    Fitness,
    Observation,
    Optimizer,
    needs_examples,
    weighs_noise,
)
from evomerge.searching.under_test import Reports
from evomerge.study.candidate import Candidate
from evomerge.study.replay import by_fitness

__all__ = ["Hearing"]


@dataclass(frozen=True)
class Hearing:
    """Of one optimizer, by the reports on record."""

    optimizer: Optimizer
    objective: Objective
    reports: Reports

    def observation(self, candidate: Candidate) -> Observation | None:
        """Of a candidate that has ended; None of one that counts as failed. With the scores on
        record if the optimizer needs them, and with the fitness's standard error if it weighs
        noise.

        Raises:
            RecordError: its report has gone.
        """
        if not needs_examples(self.optimizer):
            observation = by_fitness(candidate)
            if observation is None or not weighs_noise(self.optimizer):
                return observation
            return replace(observation, error=self._error(candidate))
        if candidate.fitness is None:
            return None
        scores = self.objective.scores(self.reports.of(candidate))
        return Observation(candidate.genome, candidate.fitness, *scores)

    def _error(self, candidate: Candidate) -> Fitness | None:
        """The standard error of its fitness: on record where it was estimated, else by the scores
        of examples."""
        if candidate.estimated is not None:
            return candidate.estimated
        return self.objective.error(self.reports.of(candidate))
