"""Data-flow space: which layer of which input runs next, and how its input is scaled.

Akiba et al., *Evolutionary Optimization of Model Merging Recipes* (2403.13187), merging in the data
flow space, with the decode that the author gave for it. An indicator for each slot says whether its
layer runs; scales are genes of their own, and matter only where their hop or transition is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from evomerge.errors import ConfigError, RecipeError
from evomerge.models.importance import Importance
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Recipe, Stack
from evomerge.search_spaces.base import ModelFacts, SearchSpace
from evomerge.search_spaces.baselines import PlainMerges, halves
from evomerge.search_spaces.dataflow_config import DataFlowSpaceConfig
from evomerge.search_spaces.scales import scale_genes
from evomerge.search_spaces.slots import Pool, Slots, Step

__all__ = ["DataFlowSpace"]

SKIP, RUN = "skip", "run"


class DataFlowSpace(SearchSpace):
    """Genome -> `Stack` recipe. Every recipe has all inputs, so that all share one pool."""

    config = DataFlowSpaceConfig

    def __init__(
        self, config: DataFlowSpaceConfig, sources: Mapping[str, Source], models: ModelFacts
    ) -> None:
        """The first input's embedding, head and ends are taken.

        Raises:
            ConfigError: an input is unknown, or the longest path is shorter than its forced ends.
        """
        self._config, self._inputs = config, config.chosen(sources)
        self._counts = {name: models.layers(recipe) for name, recipe in self._inputs.items()}
        self._base = config.origin(sources, self._inputs)
        self._own = next(iter(self._inputs))
        self._pool = Pool(self._counts, config.order, config.block)
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

    @property
    def capacity(self) -> Capacity:
        """Every layer of every input, and the longest path or the deepest input's own."""
        hops = max(self.max_hops, *self._counts.values())
        return Capacity(layers=sum(self._counts.values()), hops=hops)

    def baselines(self) -> dict[str, Recipe]:
        """The base where it is known, each input, plain merges of those that are equally deep, and
        halves."""
        plain = self.plain_merges.baselines()
        base = dict([self._base] if self._base else [])
        return {**base, **self._inputs, **plain, **halves(self._inputs, self._counts)}

    @property
    def plain_merges(self) -> PlainMerges:
        """Over the inputs that are as deep as the first."""
        depth = self._counts[self._own]
        alike = {
            name: recipe for name, recipe in self._inputs.items() if self._counts[name] == depth
        }
        return PlainMerges(alike, self._base)

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

    def importance(self, measured: Importance) -> tuple[float, ...] | None:
        """Of a slot's genes that of its layers; of a pair's scale that of the layer it leads to; of
        a network's weights 1."""
        blocks = self._pool.blocks
        ranges = [[Selector(layers=(block.first, block.end))] for block in blocks]
        of_blocks = [measured.of_groups([where]) for where in ranges]
        known = [share[0] for share in of_blocks if share is not None]
        if not known:
            return None
        usual = sum(known) / len(known)
        by_name = {
            str(block): usual if share is None else share[0]
            for block, share in zip(blocks, of_blocks, strict=True)
        }
        by_name["last"] = by_name[str(blocks[self._pool.last])]
        layers = (re.split("[@:>]", gene.name)[-1] for gene in self.genes)
        return tuple(by_name.get(name, 1.0) for name in layers)

    def landmarks(self) -> dict[str, Genome]:
        """The first input's own path; each other input's layers; and halves: the lower half of one
        input below the upper half of another, the stack that people build by hand.

        Only the first is an input itself (`input:NAME`): embedding, head and forced ends are the
        first input's in every recipe, so with another input's layers in between the model is none
        of them (`layers:NAME`). What the space does not hold (its jumps, its repetitions) is left
        out.
        """
        landmarks: dict[str, Genome] = {}
        for label, places in self._known_paths():
            path = self._slots.steps(places)
            if path is None:
                continue
            genome = self._genome(path, {})
            if [step.place for step in self._path(genome)[0]] == places:
                landmarks[label] = genome
        return landmarks

    def samples(self) -> list[Stack]:
        """One recipe with all inputs: a check that it passes holds for all of the space."""
        return [self._stack([Step(None, self._pool.first)], [1.0])]

    def _known_paths(self) -> list[tuple[str, list[int]]]:
        whole: dict[str, list[int]] = {name: [] for name in self._inputs}
        places = range(len(self._pool.blocks))
        for place in sorted(places, key=lambda place: self._pool.blocks[place].first):
            whole[self._pool.blocks[place].of].append(place)
        known = {
            f"{'input' if name == self._own else 'layers'}:{name}": whole[name]
            for name in self._inputs
        }
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
