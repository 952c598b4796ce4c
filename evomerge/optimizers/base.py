"""The optimizer contract: ask for genomes, be told fitnesses.

Laws, held to by the conformance suite (`evomerge.conformance.optimizers`):

- *Batching is invisible.* `ask(k)` returns what k calls of `ask(1)` would. It may return fewer than
  wanted, even none, when it needs results first (a generational optimizer at the end of a
  generation); once every proposal has been told it always has at least one more.
- *Any subset, any order.* `tell` takes results of any proposals not yet told, in any order. A
  generational optimizer gathers them and updates in the order of its proposals, so that the order
  of arrival does not change what it asks next.
- *A failure is not a score.* A result without fitness says that the candidate failed; how bad that
  is, the optimizer decides.
- *Replay.* The same seed and the same sequence of asks, tells and observations gives the same
  proposals, bit for bit.
- *All or nothing.* A call that raises has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from evomerge.recipe.genome import Genome
from evomerge.value import Value

__all__ = [
    "Fitness",
    "LeastBudget",
    "Observation",
    "Optimizer",
    "OptimizerConfig",
    "Parentage",
    "Proposal",
    "Result",
    "Scores",
    "ask_again",
    "heeds_importance",
    "learns_earlier",
    "least_budget",
    "most_at_once",
    "needs_examples",
    "takes_constraints",
    "weighs_noise",
]

Fitness = tuple[float, ...]
"""One number or several; each is maximised."""
Scores = tuple[float, ...]
"""One number an example, or one a task, in an order that is the same for all candidates: tasks by
name, and a task's examples as the evaluator has them. Higher is better."""


@dataclass(frozen=True)
class Parentage:
    """The parents of a proposal, where an optimizer crosses members that it keeps."""

    version: int
    """How often the archive had changed when they were drawn."""
    parents: tuple[int, ...]
    """Ids of the parents' proposals; -1 - k is the k-th observation, from 0."""


@dataclass(frozen=True)
class Proposal:
    """A genome to be tried. Ids count up from 0 in the order of asking."""

    id: int
    genome: Genome
    parentage: Parentage | None = None


@dataclass(frozen=True)
class Observation:
    """A genome, its fitness, and the scores that the fitness was made of.

    The scores are for optimizers that `needs_examples`, and may be left out for the others; so may
    the fitness's standard error be, which is for those that `weighs_noise`.
    """

    genome: Genome
    fitness: Fitness
    examples: Scores | None = None
    tasks: Scores | None = None
    error: Fitness | None = None
    """How far each number of the fitness may be off, as one standard deviation, since it is a mean
    over a sample of examples; None where nobody knows."""
    violations: tuple[float, ...] = ()
    """By how much each constraint is missed, in the job's order; 0 or less: it is met."""


@dataclass(frozen=True)
class Result:
    """What became of a proposal; `fitness` is None where the candidate failed.

    Scores and error are those of an `Observation`.
    """

    id: int
    fitness: Fitness | None
    examples: Scores | None = None
    tasks: Scores | None = None
    error: Fitness | None = None
    violations: tuple[float, ...] = ()

    @classmethod
    def of(cls, id: int, observation: Observation | None) -> Result:
        """The result of proposal `id`: what was observed of its genome, or None if it failed."""
        if observation is None:
            return cls(id, None)
        own = observation
        return cls(id, own.fitness, own.examples, own.tasks, own.error, own.violations)


class OptimizerConfig(Value):
    """Settings of an optimizer; each kind has a class of its own, derived from this.

    The optimizer's class names it as `config` and is called with a value of it and a `Problem`. The
    docstring's first line and the fields' docstrings are what `evomerge catalog` prints.
    """

    kind: str
    citation: ClassVar[str] = ""
    """Where the method was published."""


class Optimizer(Protocol):
    """Ask and tell; see the laws above."""

    def ask(self, limit: int) -> list[Proposal]:
        """At most `limit` new proposals (limit >= 1)."""

    def tell(self, results: Sequence[Result]) -> None:
        """Take the results of proposals that were asked and not yet told.

        Raises:
            ValueError: an id that was never asked, was told already, or stands twice; a fitness of
                the wrong length or not finite; an error that is so, or negative; scores that are
                missing where they are needed, not finite, or of another length than before. Nothing
                has been told then.
        """

    def observe(self, observation: Observation) -> None:
        """Take a point that it did not ask for: a warm start.

        Raises:
            ValueError: a proposal was asked already, the genome is none of the space, or the
                fitness or the scores are such as `tell` refuses. Nothing has been observed then.
        """

    def recommend(self) -> Genome | None:
        """A genome that it would choose untried (a distribution's mean), or None."""


@dataclass(frozen=True)
class LeastBudget:
    """How many candidates, warm starts among them, it takes until more than sampling is done."""

    candidates: int
    why: str
    """What takes them: `a generation of 16 after 3 warm starts`."""


def least_budget(optimizer: Optimizer, landmarks: int) -> LeastBudget | None:
    """What the optimizer says by a method of this name, called with the number of warm starts; None
    of one that has none.
    """
    said: Callable[[int], LeastBudget] | None = getattr(optimizer, "least_budget", None)
    return None if said is None else said(landmarks)


def most_at_once(optimizer: Optimizer) -> int | None:
    """How many of its proposals are under way at most, since it waits for them all before it asks
    more: what the optimizer says by an attribute of this name; None: any number.
    """
    said: int | None = getattr(optimizer, "most_at_once", None)
    return said


def needs_examples(optimizer: Optimizer) -> bool:
    """Whether its results and observations must have scores: it says so by an attribute."""
    return bool(getattr(optimizer, "needs_examples", False))


def weighs_noise(optimizer: Optimizer) -> bool:
    """Whether it wants the standard errors of fitnesses: it says so by an attribute."""
    return bool(getattr(optimizer, "weighs_noise", False))


def heeds_importance(optimizer: Optimizer) -> bool:
    """Whether it makes something of `Problem.importance`: it says so by an attribute."""
    return bool(getattr(optimizer, "heeds_importance", False))


def learns_earlier(optimizer: Optimizer) -> bool:
    """Whether it begins where `Problem.earlier` says: it says so by an attribute."""
    return bool(getattr(optimizer, "learns_earlier", False))


def ask_again(optimizer: Optimizer, genome: Genome) -> list[Proposal]:
    """Ask once more what is on record as the answer to the next `ask(1)`.

    An optimizer whose proposals take seconds, and leave nothing behind but themselves, has a method
    of this name that takes the recorded genome for what it would ask, and says so where it can tell
    that it would not (ValueError). Any other is asked.
    """
    taken: Callable[[Genome], list[Proposal]] | None = getattr(optimizer, "ask_again", None)
    return optimizer.ask(1) if taken is None else taken(genome)


def takes_constraints(optimizer: Optimizer) -> bool:
    """Whether it goes by the violations of results and observations itself: it says so by an
    attribute. Any other is told a fitness below that of all that break nothing (`Penalised`)."""
    return bool(getattr(optimizer, "takes_constraints", False))
