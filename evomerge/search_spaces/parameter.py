"""Parameter space: how the parents' weights are combined, group of tensors by group of tensors.

Akiba et al., *Evolutionary Optimization of Model Merging Recipes* (2403.13187), merging in the
parameter space. A group is a block of layers, a component, or a component of a block; each has one
gene per parent and per-input parameter (`math.weight`), and one per shared option (`lambda`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from functools import cached_property

from evomerge.errors import ConfigError
from evomerge.models.importance import Importance
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome, Scalar
from evomerge.recipe.same import sole_input
from evomerge.recipe.selector import Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule
from evomerge.search_spaces.base import ModelFacts, SearchSpace
from evomerge.search_spaces.baselines import PlainMerges
from evomerge.search_spaces.groups import Group, groups_of, live
from evomerge.search_spaces.inverse import MergeParameters, place_of, places_of
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig, takes
from evomerge.search_spaces.parameter_genes import ON, SWITCH, OwnGene, own_genes
from evomerge.search_spaces.parameter_landmarks import alone, sparsified, summed, uniform

__all__ = ["ParameterSpace"]


class ParameterSpace(SearchSpace):
    """Genome -> `Merge` recipe; weights are not forced to sum to 1."""

    config = ParameterSpaceConfig

    def __init__(
        self, config: ParameterSpaceConfig, sources: Mapping[str, Source], models: ModelFacts
    ) -> None:
        """Raises:
        ConfigError: a name, a method or a gene that does not exist or does not fit.
        """
        self._config, self._sources = config, sources
        self._known_inputs = config.known_inputs(sources)
        self._known_methods = models.methods
        self._methods = config.signatures(models.methods)
        self._parents = config.parents_among(sources)
        self._inputs = tuple(
            dict.fromkeys([*([] if config.base is None else [config.base]), *self._parents])
        )
        donor = self._known_inputs[min(self._parents) if config.base is None else config.base]
        self._layers = models.layers(donor)
        groups, self._places = config.groups, list(places_of(self._layers))
        self._check_main(models, donor)
        if groups.are_live:
            anatomy = models.anatomy(donor)
            cut = list(groups_of(groups, self._layers, "space", anatomy))
            self._groups = live(cut, anatomy, groups)
            self._places = list(anatomy.places)
        else:
            self._groups = list(groups_of(groups, self._layers, "space"))
        self._ranges = config.ranges(self._methods)
        config.check(self._ranges, self._methods, self._inputs)

    def _check_main(self, models: ModelFacts, donor: Recipe) -> None:
        """A number of layers counts in a tower that is there."""
        if self._layers or not isinstance(self._config.groups.layers, int):
            return
        towers = {own.tower: self._config.groups.layers for own in models.anatomy(donor).towers}
        if not towers:
            raise ConfigError(
                "space.groups.layers: the names of the model's tensors tell no layers; leave it out"
            )
        written = ", ".join(f"{tower}: {size}" for tower, size in towers.items())
        raise ConfigError(
            f"space.groups.layers: the model has the towers {', '.join(towers)}, each with layers"
            f" of its own; say how each is cut, as in {{{written}}}"
        )

    @cached_property
    def genes(self) -> tuple[Scalar, ...]:
        """The method's gene first (if any), then group by group."""
        return tuple(own.gene for own in self._own)

    @cached_property
    def _own(self) -> tuple[OwnGene, ...]:
        """The genes, in their order, and what each is of."""
        switches = self._config.switches
        return tuple(
            own_genes(self._groups, self._parents, self._ranges, self._methods, switches=switches)
        )

    @cached_property
    def _at(self) -> Mapping[str, int]:
        return {gene.name: i for i, gene in enumerate(self.genes)}

    def recipe(self, genome: Genome) -> Merge:
        """The recipe of a genome; genes that its method does not take are left unused."""
        signature = self._signature(genome)
        inputs = {name: self._known_inputs[name] for name in self._inputs}
        shared = {k: v for k, v in self._config.options.items() if takes(signature.shared, k)}
        rules = [
            self._rule(group, where, genome, signature)
            for group in self._groups
            for where in group.where
        ]
        return Merge(
            method=signature.name,
            base=self._config.base,
            inputs=inputs,
            options=shared,
            rules=tuple(rules),
            seed=self._config.seed,
            tokenizer=self._config.tokenizer,
        )

    def genome(self, recipe: Recipe) -> Genome:
        """The genome of a recipe that the space holds: the inverse of `recipe`.

        Raises:
            RecipeError: the space does not hold it, and why.
        """
        theirs = self._parameters_of(recipe)
        values: dict[str, float] = {}
        for group in self._groups:
            there = theirs.at(group.place or place_of(group.where[0]))
            values |= {group.gene(name): value for name, value in there.items()}
        genome = tuple(self._gene_value(own, theirs.signature, values) for own in self._own)
        theirs.check_equals(self._parameters_of(self.recipe(genome)), self._places)
        return genome

    def active(self, genome: Genome) -> tuple[bool, ...]:
        """All but the parameters that the genome's method does not take, and those of a parent
        where it is switched off."""
        signature = self._signature(genome)
        return tuple(
            isinstance(own.gene, ChoiceGene)
            or (
                not self._is_off(own.parent, own.group, genome)
                and any(takes(model, own.parameter) for model in (signature.each, signature.shared))
            )
            for own in self._own
        )

    def _gene_value(
        self, own: OwnGene, signature: Signature, values: Mapping[str, float]
    ) -> float | str:
        """Of a recipe whose parameters are `values`; off where only that gives a weight of 0."""
        if isinstance(own.gene, FloatGene):
            return own.gene.unit(values[own.gene.name]) if own.gene.name in values else 0.5
        if not own.is_switch:
            return signature.name
        if self._ranges["weight"].low <= 0 <= self._ranges["weight"].high:
            return "on"
        return "off" if values.get(own.group.gene(f"{own.parent}.weight")) == 0 else "on"

    def importance(self, measured: Importance) -> tuple[float, ...] | None:
        """That of each gene's group: the mean over the layers' components in it, of a module that
        of its component; of the method's gene 1."""
        of_groups = measured.of_groups([group.where for group in self._groups])
        if of_groups is None:
            return None
        names = (group.name for group in self._groups)
        shares = dict(zip(names, of_groups, strict=True))
        for group in self._groups:
            if group.where[0].name is not None and group.place is not None:
                wider = {"name": None, "component": group.place.component}
                of_component = measured.of_groups([[group.where[0].model_copy(update=wider)]])
                shares[group.name] = (of_component or [shares[group.name]])[0]
        return tuple(
            1.0 if own.parameter == "method" else shares[own.group.name] for own in self._own
        )

    def _parameters_of(self, recipe: Recipe) -> MergeParameters:
        return MergeParameters(
            recipe,
            parents={name: self._known_inputs[name] for name in self._parents},
            base=None if self._config.base is None else self._sources[self._config.base],
            methods=self._methods,
            seed=self._config.seed,
            tokenizer=self._config.tokenizer,
            by_tensor=self._config.groups.are_live,
        )

    def landmarks(self) -> dict[str, Genome]:
        """The uniform merge (weights 1/n, the rest neutral) and each parent alone.

        `parent:NAME` makes that parent's weights. Where method, ranges or options do not allow it,
        the nearest recipe that the space holds is called `near:NAME`.
        """
        marks = {"uniform": uniform(self._own, self._parents)}
        if "weight" in self._ranges:
            for parent, genome in alone(self._own, self._parents):
                is_parent = sole_input(self.recipe(genome), self._known_methods) == parent
                marks[f"{'parent' if is_parent else 'near'}:{parent}"] = genome
        return marks

    def baselines(self) -> dict[str, Recipe]:
        """The base, each parent, their uniform merge and, with a base, plain task arithmetic."""
        return self.plain_merges.baselines()

    @property
    def plain_merges(self) -> PlainMerges:
        """Over the parents, mapped as the space's recipes are."""
        base = self._config.base
        return PlainMerges(
            {name: self._known_inputs[name] for name in self._parents},
            None if base is None else (base, self._sources[base]),
            self._config.tokenizer,
        )

    def sparsified(self, density: float) -> dict[str, Genome]:
        """`sparsified:NAME`; see `SearchSpace.sparsified`."""
        return sparsified(self._own, self._parents, self._methods, density)

    def sums(self) -> dict[str, Genome]:
        """`sum:all` and `sum:A+B`; see `SearchSpace.sums`."""
        if self._config.base is None:
            return {}
        return summed(self._own, self._parents, self._methods)

    def samples(self) -> Iterable[Recipe]:
        """One for each method; with switches each with all parents and with none of them."""
        if not self._config.switches:
            yield from super().samples()
            return
        for method, switch in itertools.product(self._methods, SWITCH):
            yield self.recipe(
                tuple(
                    0.5
                    if isinstance(own.gene, FloatGene)
                    else switch
                    if own.is_switch
                    else method.name
                    for own in self._own
                )
            )

    def _neutral(self, parameter: str) -> float:
        """1, or the range's nearest end."""
        bounds = self._ranges[parameter]
        return min(max(1.0, bounds.low), bounds.high)

    def _is_off(self, parent: str, group: Group, genome: Genome) -> bool:
        switched = self._at.get(group.gene(f"{parent}.{ON}"))
        return switched is not None and genome[switched] == "off"

    def _signature(self, genome: Genome) -> Signature:
        if len(self._methods) == 1:
            return self._methods[0]
        return next(s for s in self._methods if s.name == genome[0])

    def _rule(self, group: Group, where: Selector, genome: Genome, signature: Signature) -> Rule:
        def value(name: str) -> float:
            gene, unit = self.genes[i := self._at[group.gene(name)]], genome[i]
            assert isinstance(gene, FloatGene)
            return gene.value(float(unit))

        shared = {k: value(k) for k in self._ranges if takes(signature.shared, k)}
        own = [k for k in self._ranges if takes(signature.each, k)]
        left_out = {k: 0.0 if k == "weight" else self._neutral(k) for k in own}
        inputs = {
            p: left_out if self._is_off(p, group, genome) else {k: value(f"{p}.{k}") for k in own}
            for p in (self._parents if own else ())
        }
        return Rule(where=where, options=shared, inputs=inputs)
