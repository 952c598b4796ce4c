"""Data-flow space: which layer of which input runs next, and how its input is scaled.

Akiba et al., *Evolutionary Optimization of Model Merging Recipes* (2403.13187), merging in the data
flow space, with the decode that the author gave for it. An indicator for each slot says whether its
layer runs; scales are genes of their own, and matter only where their hop or transition is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, field_validator

from evomerge.errors import ConfigError, RecipeError, did_you_mean
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Recipe, Scaling, Stack
from evomerge.search_spaces.scales import Network, ScaleRange, ScaleRule, scale_genes
from evomerge.search_spaces.slots import Jumps, Order, Pool, Slots, Step
from evomerge.value import Value

__all__ = ["DataFlowSpace", "DataFlowSpaceConfig", "Odds"]

SKIP, RUN = "skip", "run"

Probability = Annotated[float, Field(gt=0, lt=1)]


class Odds(Value):
    """How probable it is that a slot runs when a search begins."""

    own: Probability = 0.977
    """Of the first input's layers in the first repetition; the default is two standard
    deviations, as in the paper."""
    other: Probability = 0.5
    """Of all other slots."""
    forced: Probability | None = None
    """Of the forced layers' own slots in the first repetition, where they run twice; as `other`
    where left out."""


class DataFlowSpaceConfig(Value):
    """`space: {kind: dataflow, ...}` of a job, or a catalog entry of that shape."""

    kind: Literal["dataflow"]
    description: str = ""
    """One line about the space, which `evomerge catalog` shows."""
    inputs: tuple[str, ...] | None = None
    """Names of sources or `recipes`, at least two; the first gives embedding, head and forced
    ends. Left out: all."""
    recipes: Mapping[str, Recipe] = Field(default_factory=dict)
    """Inputs that are recipes themselves (parameter space first, then data flow over the
    result): name -> recipe, in a YAML file a path or written out."""

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

    def chosen(self, sources: Mapping[str, Source], origin: str) -> dict[str, Recipe]:
        """The inputs by name, in the order of the pool.

        Raises:
            ConfigError: a name that is neither a source nor a recipe, twice, or both; too few.
        """
        for name in self.recipes:
            if name in sources:
                raise ConfigError(f"{origin}.recipes: {name!r} is a source already; rename it")
        known: dict[str, Recipe] = {**sources, **self.recipes}
        names = tuple(known) if self.inputs is None else self.inputs
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{origin}.inputs: {name!r} is neither a source nor one of the recipes;"
                    f" {did_you_mean(name, known)}"
                )
        if len(set(names)) != len(names):
            raise ConfigError(f"{origin}.inputs: an input is named twice in {', '.join(names)}")
        if len(names) < 2:
            raise ConfigError(f"{origin}.inputs: data flow needs at least two, got {len(names)}")
        return {name: known[name] for name in names}


class DataFlowSpace:
    """Genome -> `Stack` recipe. Every recipe has all inputs, so that all share one pool."""

    def __init__(
        self,
        config: DataFlowSpaceConfig,
        inputs: Mapping[str, Recipe],
        *,
        counts: Mapping[str, int],
    ) -> None:
        """`inputs`: the first one's embedding, head and ends are taken; `counts`: their layers.

        Raises:
            ConfigError: the longest path is shorter than its forced ends.
        """
        self._config, self._inputs, self._counts = config, dict(inputs), counts
        self._own = next(iter(inputs))
        self._pool = Pool({name: counts[name] for name in inputs}, config.order, config.block)
        self._slots = Slots(
            self._pool,
            repetitions=config.repetitions,
            first=config.first,
            last=config.last,
            ends_take_slots=config.ends_take_slots,
            max_hops=config.max_hops,
            jumps=config.jumps,
        )
        if self._slots.max_hops < self._slots.least_hops:
            raise ConfigError(
                f"space.max_hops: {self._slots.max_hops} is less than the forced ends alone have,"
                f" {self._slots.least_hops} layers; raise it, or set first or last to false"
            )
        self._scales = scale_genes(config.scales, self._slots, config.scale_range, config.network)

    @property
    def max_hops(self) -> int:
        """The longest path that a genome can have."""
        return self._slots.max_hops

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The slots' indicators in order, then the scales."""
        slots = range(self._slots.count)
        return (*(self._indicator(slot) for slot in slots), *self._scales.genes)

    def recipe(self, genome: Genome) -> Stack:
        """The recipe of a genome; slots that would jump too far or too late are passed over."""
        path, _ = self._path(genome)
        names = (gene.name for gene in self._scales.genes)
        values = dict(zip(names, self._scale_values(genome), strict=True))
        return self._stack(path, self._scales.scales(path, values))

    def genome(self, recipe: Recipe) -> Genome:
        """The genome that runs the path in the earliest slots: an inverse of `recipe`.

        Raises:
            RecipeError: the space does not hold the recipe, and why.
        """
        if not isinstance(recipe, Stack):
            raise RecipeError(f"it is a {recipe.kind}, and this space holds stacks of layers")
        own = {
            "inputs": self._inputs,
            "embedding": self._own,
            "head": self._own,
            "scaling": self._config.scaling,
        }
        for key, value in own.items():
            if getattr(recipe, key) != value:
                raise RecipeError(f"its {key!r} is not this space's")
        wanted = [(hop.of, hop.layer) for hop in recipe.hops]
        places = self._pool.places(wanted)
        path = self._slots.steps(places) if places is not None else None
        if places is None or path is None:
            raise RecipeError(
                "its path needs other layers, blocks or ends, or more repetitions of the pool"
            )
        values = self._scales.values(path, self._scales_at(path, recipe))
        if values is None:
            raise RecipeError(f"scales of the rule {self._config.scales!r} cannot be its scales")
        genome = self._genome(path, values)
        there = self.recipe(genome)
        if [(hop.of, hop.layer) for hop in there.hops] != wanted:
            raise RecipeError("its path takes a jump, or a length, that this space does not allow")
        for number, (hop, other) in enumerate(zip(recipe.hops, there.hops, strict=True)):
            if abs(hop.scale - other.scale) > 1e-9:
                raise RecipeError(f"the scale of hop {number}, {hop.scale}, is out of range")
        return genome

    def active(self, genome: Genome) -> tuple[bool, ...]:
        """The slots that were not passed over, and the scales that the path uses."""
        path, heeded = self._path(genome)
        used = self._scales.used(path)
        return (*heeded, *(gene.name in used for gene in self._scales.genes))

    def landmarks(self) -> dict[str, Genome]:
        """The first input's own path; each other input's; and halves: the lower half of one input
        below the upper half of another, the stack that people build by hand.

        Where the ends are forced they are the first input's in all of them. What the space does not
        hold (its jumps, its repetitions) is left out.
        """
        genomes: dict[str, Genome] = {}
        for label, places in self._known_paths():
            path = self._slots.steps(places)
            if path is None:
                continue
            genome = self._genome(path, {})
            if [step.place for step in self._path(genome)[0]] == places:
                genomes[label] = genome
        return genomes

    def samples(self) -> list[Recipe]:
        """One recipe with all inputs: a check that it passes holds for all of the space."""
        return [self._stack([Step(None, self._pool.first)], [1.0])]

    def _known_paths(self) -> list[tuple[str, list[int]]]:
        whole: dict[str, list[int]] = {name: [] for name in self._inputs}
        places = range(len(self._pool.blocks))
        for place in sorted(places, key=lambda number: self._pool.blocks[number].first):
            whole[self._pool.blocks[place].of].append(place)
        known = {f"input:{name}": whole[name] for name in self._inputs}
        for name in self._inputs:
            if name != self._own:
                for low, high in ((self._own, name), (name, self._own)):
                    lower = whole[low][: len(whole[low]) // 2]
                    upper = whole[high][len(whole[high]) // 2 :]
                    known[f"halves:{low}+{high}"] = [*lower, *upper]
        return [(label, self._with_ends(path)) for label, path in known.items()]

    def _with_ends(self, path: list[int]) -> list[int]:
        pool, slots = self._pool, self._slots
        first = [pool.first, *path[1:]] if slots.first else path
        return [*first[:-1], pool.last] if slots.last else first

    def _path(self, genome: Genome) -> tuple[list[Step], list[bool]]:
        return self._slots.path([indicator == RUN for indicator in genome[: self._slots.count]])

    def _scale_values(self, genome: Genome) -> list[float]:
        units = genome[self._slots.count :]
        return [
            gene.value(float(unit)) for gene, unit in zip(self._scales.genes, units, strict=True)
        ]

    def _genome(self, path: Sequence[Step], scales: Mapping[str, float]) -> Genome:
        runs = {step.slot for step in path}
        indicators = (RUN if slot in runs else SKIP for slot in range(self._slots.count))
        return (*indicators, *(_unit(gene, scales) for gene in self._scales.genes))

    def _scales_at(self, path: Sequence[Step], recipe: Stack) -> list[float]:
        """The scale of each step, which its first layer has; none other has one."""
        scales, at = [], 0
        for step in path:
            size = self._pool.blocks[step.place].size
            first, *others = recipe.hops[at : at + size]
            if any(hop.scale != 1 for hop in others):
                raise RecipeError("a layer inside one of the blocks has a scale")
            scales.append(first.scale)
            at += size
        return scales

    def _stack(self, path: Sequence[Step], scales: Sequence[float]) -> Stack:
        hops: list[Hop] = []
        for step, scale in zip(path, scales, strict=True):
            block = self._pool.blocks[step.place]
            hops.append(Hop(of=block.of, layer=block.first, scale=scale))
            hops += (Hop(of=block.of, layer=i) for i in range(block.first + 1, block.end))
        return Stack(
            inputs=self._inputs,
            embedding=self._own,
            head=self._own,
            hops=tuple(hops),
            scaling=self._config.scaling,
        )

    def _indicator(self, slot: int) -> ChoiceGene:
        place, start = self._slots.place(slot), self._config.start
        in_first = slot < len(self._pool.blocks) and self._pool.blocks[place].of == self._own
        forced = (self._slots.first and place == self._pool.first) or (
            self._slots.last and place == self._pool.last
        )
        if in_first and forced:
            odds = start.forced or start.other
        else:
            odds = start.own if in_first else start.other
        return ChoiceGene(
            name=f"run@{self._slots.name(slot)}", choices=(SKIP, RUN), odds=(1 - odds, odds)
        )


def _unit(gene: FloatGene, values: Mapping[str, float]) -> float:
    start = gene.start if gene.start is not None else gene.value(0.5)
    return gene.unit(values.get(gene.name, start))
