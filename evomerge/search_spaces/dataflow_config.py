"""The settings of a data-flow space: which inputs, how paths are read, what scales may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from evomerge.errors import ConfigError
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Scaling
from evomerge.recipe.yaml import inline_recipe
from evomerge.search_spaces.base import SpaceConfig, check_names
from evomerge.search_spaces.baselines import common_base
from evomerge.search_spaces.scales import Network, ScaleRange, ScaleRule
from evomerge.search_spaces.slots import Jumps, Order
from evomerge.value import Value

__all__ = ["DataFlowSpaceConfig", "Odds"]

Probability = Annotated[float, Field(gt=0, lt=1)]


class Odds(Value):
    """How probable it is that a slot runs when a search begins."""

    own: Probability = 0.977
    """Probability of the first input's layers in the first repetition; by default two standard
    deviations, as in the paper."""
    other: Probability = 0.5
    """Probability of all other slots."""
    forced: Probability | None = None
    """Probability of the forced layers' own slots in the first repetition; as `other`
    where left out."""


class DataFlowSpaceConfig(SpaceConfig):
    """Which layer of which input runs next, and how its input is scaled; no weight is changed."""

    kind: Literal["dataflow"]
    inputs: tuple[str, ...] | None = None
    """Names of sources or `recipes`, at least two; the first gives embedding, head and forced
    ends. Left out: all."""
    recipes: Mapping[str, Recipe] = Field(default_factory=dict)
    """Inputs that are recipes themselves (parameter space first, then data flow over the
    result): name -> recipe, in a YAML file a path or written out."""

    base: str | None = None
    """The source that the inputs were fine-tuned from, for the comparison's task arithmetic; no
    candidate contains it. Left out: the model that all inputs are adapters on, if there is one."""
    block: Annotated[int, Field(ge=1)] = 1
    """Number of consecutive layers that run together; a scale is that of the first of them."""
    order: Order = "by_input"
    """Order of the pool: `by_input`: all layers of the first input, then of the next;
    `by_depth`: the first layers of all inputs, then the second ones."""
    repetitions: Annotated[int, Field(ge=1)] = 3
    """How often the pool of layers is offered, r in the paper."""
    first: bool = True
    """The path begins with the first input's first layer."""
    last: bool = True
    """The path ends with the first input's last layer."""
    ends_take_slots: bool = False
    """Forced ends count among the slots: the last ones are missing, as in the author's decode."""
    max_hops: Annotated[int, Field(ge=1)] | None = None
    """The longest path, in layers; left out: every slot and the forced ends."""
    jumps: Jumps = Jumps()
    """How far the path may go from one hop to the next."""

    scales: ScaleRule = "none"
    """Genes for scales: `none`, one `per_hop`, one for each `pair` of layers, or a small
    `network`."""
    scale_range: ScaleRange = ScaleRange()
    """The range of every scale, [low, high], which holds 1."""
    network: Network = Network()
    """The network of `scales: network`."""
    scaling: Scaling = "stream"
    """What a scale multiplies, as in a `stack` recipe."""
    start: Odds = Odds()
    """Probability that a slot runs when the search begins."""

    @field_validator("scale_range", mode="before")
    @classmethod
    def _pair(cls, data: object) -> object:
        if isinstance(data, list | tuple) and len(data) == 2:
            return {"low": data[0], "high": data[1]}
        return data

    @field_validator("scale_range")
    @classmethod
    def _holds_one(cls, span: ScaleRange) -> ScaleRange:
        if not span.low <= 1 <= span.high or span.low == span.high:
            raise ValueError(
                f"needs low <= 1 <= high, 1 being where a search begins, got"
                f" [{span.low}, {span.high}]"
            )
        return span

    @classmethod
    def resolved(cls, data: Mapping[str, Any], *, folder: Path, origin: str) -> Mapping[str, Any]:
        """The settings with `recipes` read from files, or written out with absolute paths."""
        recipes = data.get("recipes")
        if not isinstance(recipes, Mapping):
            return data
        read = {
            name: inline_recipe(written, origin=f"{origin}.recipes.{name}", folder=folder)
            for name, written in recipes.items()
        }
        return {**data, "recipes": read}

    def known_inputs(self, sources: Mapping[str, Source]) -> dict[str, Recipe]:
        """The sources and the `recipes`, by name."""
        return {**sources, **self.recipes}

    def origin(
        self, sources: Mapping[str, Source], inputs: Mapping[str, Recipe]
    ) -> tuple[str, Recipe] | None:
        """Name and model of the base, where it is named or all inputs are adapters on it.

        Raises:
            ConfigError: `base` is no source.
        """
        if self.base is not None:
            check_names([self.base], sources, "space.base")
            return self.base, sources[self.base]
        shared = common_base(inputs.values())
        if shared is None:
            return None
        named = (name for name, source in sources.items() if source == shared)
        return next(named, "base"), shared

    def chosen(self, sources: Mapping[str, Source]) -> dict[str, Recipe]:
        """The inputs by name, in the order of the pool.

        Raises:
            ConfigError: a name that is neither a source nor a recipe, twice, or both; too few.
        """
        for name in self.recipes:
            if name in sources:
                raise ConfigError(f"space.recipes: {name!r} is a source already; rename it")
        known = self.known_inputs(sources)
        names = tuple(known) if self.inputs is None else self.inputs
        law = "is neither a source nor one of the recipes"
        check_names(names, known, "space.inputs", law)
        if len(set(names)) != len(names):
            raise ConfigError(f"space.inputs: an input is named twice in {', '.join(names)}")
        if len(names) < 2:
            raise ConfigError(f"space.inputs: data flow needs at least two, got {len(names)}")
        return {name: known[name] for name in names}
