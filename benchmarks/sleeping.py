"""A worker that sleeps instead of evaluating, and the space that it is asked about."""

from __future__ import annotations

import time

import numpy as np

from evomerge.cluster.base import Task
from evomerge.evaluators.base import Outcome, Report, TaskScore
from evomerge.recipe.digest import digest
from evomerge.recipe.genome import FloatGene, Genome
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.value import Value

__all__ = ["Sleep", "Sleeper", "Weights", "lengths_s"]


class Weights:
    """A space of so many weights, one for each block of layers, as a search over one has it."""

    def __init__(self, genes: int) -> None:
        self.genes = tuple(FloatGene(name=f"weight.{n}", low=0.0, high=1.0) for n in range(genes))
        self._layers = [Selector(layers=(n, n + 1)) for n in range(genes - 1)]

    def recipe(self, genome: Genome) -> Merge:
        """A linear merge by the weights."""
        *before, last = (float(value) for value in genome)
        rules = tuple(
            Rule(where=where, inputs={"a": {"weight": weight}})
            for where, weight in zip(self._layers, before, strict=True)
        )
        rest = Rule(where=Selector(), inputs={"a": {"weight": last}})
        inputs = {"a": Source(model="a"), "b": Source(model="b")}
        return Merge(method="linear", base=None, inputs=inputs, rules=(*rules, rest))


class Sleep(Value):
    """How long evaluations take, and how many examples they score."""

    mean_s: float
    """The mean of their lengths."""
    skew: float = 0.7
    """Standard deviation of a length's logarithm: at 0.7 one in a hundred takes four times the
    mean."""
    examples: int = 500
    """In the search split."""


def lengths_s(rng: np.random.Generator, mean_s: float, skew: float, number: int) -> list[float]:
    """Log-normal lengths of so many evaluations."""
    drawn = rng.lognormal(np.log(mean_s) - skew**2 / 2, skew, number)
    return [float(length_s) for length_s in drawn]


class Sleeper:
    """Implements `Worker`: a recipe takes as long as its digest says, wherever it is evaluated, and
    is the better the nearer its weights are to 0.3."""

    def __init__(self, config: Sleep) -> None:
        self._config = config

    def perform(self, task: Task) -> Outcome:
        """Sleep; the report's `seconds` say when it began, and how long it took."""
        began, config = time.time(), self._config
        rng = np.random.default_rng(int(digest(task.recipe)[:16], 16))
        assert isinstance(task.recipe, Merge)
        weights = np.array([rule.inputs["a"]["weight"] for rule in task.recipe.rules], dtype=float)
        value = 1 / (1 + float(((weights - 0.3) ** 2).sum()))
        examples = (value + rng.uniform(-0.01, 0.01, config.examples)).tolist()
        (length_s,) = lengths_s(rng, config.mean_s, config.skew, 1)
        time.sleep(max(0.0, began + length_s - time.time()))
        return Report(
            split=task.split,
            tasks={"one": TaskScore.averaged("exact", examples)},
            seconds={"began": began, "evaluate": time.time() - began},
        )
