"""Everything that evomerge lets other packages add, each as small as it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from evomerge.evaluators.base import EvaluatorConfig, Report, Selection, Split, TaskScore, digest_of
from evomerge.evaluators.live_model import LiveModel
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.selection import chosen_places
from evomerge.operators.base import TensorContext, operator
from evomerge.optimizers.base import Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.search_spaces.base import ModelFacts, SearchSpace, SpaceConfig, check_names
from evomerge.value import Value

# A merge method.


class FadeOptions(Value):
    """What holds for all inputs."""

    rate: float = Field(0.5, gt=0, le=1)
    """What is left of a change from one layer to the next."""


class FadeInput(Value):
    """What each input takes."""

    weight: float
    """Coefficient of this input in the first layer."""


@operator(
    "fade",
    family="span",
    base="origin",
    shared=FadeOptions,
    each=FadeInput,
    citation="Made up for evomerge's tests",
    search_ranges={"weight": (0.0, 1.5)},
)
def fade(options: FadeOptions, each: Sequence[FadeInput], context: TensorContext) -> list[float]:
    """Task arithmetic whose weights fall from layer to layer."""
    left = options.rate ** (context.place.layer or 0)
    return [left * one.weight for one in each]


# An optimizer.


class LadderConfig(OptimizerConfig):
    """Even steps through the ranges of all genes at once, again and again."""

    kind: Literal["ladder"] = "ladder"
    steps: int = Field(5, ge=2)
    """How many steps from the low end to the high end."""


class Ladder:
    """Proposal i is step i, whatever came of those before."""

    config = LadderConfig

    def __init__(self, config: LadderConfig, problem: Problem) -> None:
        self._steps, self._genes = config.steps, problem.scalars("ladder")
        self._proposals = Proposals(problem)

    def ask(self, limit: int) -> list[Proposal]:
        first = self._proposals.asked
        return self._proposals.ask(self._step(i) for i in range(first, first + limit))

    def tell(self, results: Sequence[Result]) -> None:
        self._proposals.close(results)

    def observe(self, observation: Observation) -> None:
        self._proposals.check_observed(observation)

    def recommend(self) -> Genome | None:
        return None

    def _step(self, i: int) -> Genome:
        unit = i % self._steps / (self._steps - 1)
        return tuple(
            gene.choices[i % len(gene.choices)] if isinstance(gene, ChoiceGene) else unit
            for gene in self._genes
        )


# An evaluator.


class CountConfig(EvaluatorConfig):
    """How surprising it is to count on."""

    kind: Literal["count"] = "count"
    up_to: int = Field(3, ge=1)
    """How many steps a split has."""

    @property
    def weights(self) -> Mapping[str, float]:
        return {"count": 1.0}

    def sizes(self, split: Split) -> Mapping[str, int]:
        return {"count": self.up_to}

    def digest(self) -> str:
        return digest_of({"count": 1, "up_to": self.up_to})


class Count:
    """Nats for the next number, an example each."""

    config = CountConfig

    def __init__(self, config: CountConfig) -> None:
        self._config = config

    def evaluate(
        self,
        model: LiveModel,
        split: Split,
        examples: Selection | None = None,
        deadline_s: float | None = None,
    ) -> Report:
        metered = MeteredModel(model, deadline_s)
        places = chosen_places(self._config.sizes(split), examples)
        encode = model.tokenizer.encode
        pairs = [(encode(f"{split} {n},"), encode(f" {n + 1}")) for n in places["count"]]
        nats = [-answer.total for answer in metered.logprobs(pairs)]
        score = TaskScore.averaged("nats", nats, higher_is_better=False)
        return metered.report(split, {"count": score}, examples and places)


# A search space.


class LineConfig(SpaceConfig):
    """The line from one model through another, faded with depth."""

    kind: Literal["line"] = "line"
    start: str
    """The source at 0."""
    end: str
    """The source at 1."""


class Line(SearchSpace):
    """One gene: how far along the line."""

    config = LineConfig

    def __init__(
        self, config: LineConfig, sources: Mapping[str, Source], models: ModelFacts
    ) -> None:
        check_names([config.start, config.end], sources, "space")
        self._inputs = {"start": sources[config.start], "end": sources[config.end]}

    @property
    def genes(self) -> tuple[FloatGene, ...]:
        return (FloatGene(name="far", low=0, high=1.5),)

    def recipe(self, genome: Genome) -> Merge:
        rule = Rule(inputs={"end": {"weight": self.genes[0].value(float(genome[0]))}})
        return Merge(method="fade", base="start", inputs=self._inputs, rules=(rule,))

    def landmarks(self) -> Mapping[str, Genome]:
        return {"start": (0.0,)}


__all__ = ["Count", "CountConfig", "Ladder", "LadderConfig", "Line", "LineConfig", "fade"]
