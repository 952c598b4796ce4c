"""Parameter space: how the parents' weights are combined, group of tensors by group of tensors.

Akiba et al., *Evolutionary Optimization of Model Merging Recipes* (2403.13187), merging in the
parameter space. A group is a block of layers, a component, or a component of a block; each has one
gene per parent and per-input parameter (`math.weight`), and one per shared option (`lambda`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

from pydantic import Field

from evomerge.errors import ConfigError, did_you_mean
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome, Scalar
from evomerge.recipe.selector import Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Merge, Recipe, Rule
from evomerge.search_spaces.groups import Group, Groups, groups_of
from evomerge.search_spaces.inverse import MergeParameters, place_of
from evomerge.value import Value, parse

__all__ = ["ParameterSpace", "ParameterSpaceConfig", "Range"]


class Range(Value):
    """The range of a gene."""

    low: float
    """The smallest value."""
    high: float
    """The largest value."""
    log: bool = False
    """Search the logarithm of the value."""


class ParameterSpaceConfig(Value):
    """`space: {kind: parameter, ...}` of a job, or a catalog entry of that shape."""

    kind: Literal["parameter"]
    description: str = ""
    """One line about the space, which `evomerge catalog` shows."""
    base: str | None = None
    """The source that the method takes as base; not needed by every method."""
    parents: tuple[str, ...] | None = None
    """Sources to merge; all except the base where it is left out."""
    method: str | tuple[str, ...]
    """The merge method; a list makes the method a gene."""
    groups: Groups = Groups()
    """Which tensors share genes."""
    genes: Mapping[str, tuple[float, float] | Range] | tuple[str, ...]
    """Parameter -> its range, or a list of names to take the ranges that the methods recommend.
    Other parameters keep their default or the value under `options`."""
    options: Mapping[str, float | int | bool | str] = Field(default_factory=dict)
    """Fixed options of the method."""
    seed: int = 0
    """Seed of the recipes' random masks. It is not a gene, since that would select lucky noise."""
    tokenizer: TokenizerChoice | None = None
    """The vocabulary of every recipe, where the sources' vocabularies differ; a live engine
    needs the base's."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of all methods."""
        return (self.method,) if isinstance(self.method, str) else self.method


class ParameterSpace:
    """Genome -> `Merge` recipe; weights are not forced to sum to 1."""

    def __init__(
        self,
        config: ParameterSpaceConfig,
        sources: Mapping[str, Source],
        *,
        layers: int,
        methods: Mapping[str, Signature],
        origin: str = "space",
    ) -> None:
        """`layers`: how many the models have; `methods`: the registered merge methods.

        Raises:
            ConfigError: a name, a method or a gene that does not exist or does not fit.
        """
        self._config = config
        self._sources = sources
        self._methods = [_method(name, methods, origin) for name in config.methods]
        self._parents = _parents(config, sources, origin)
        self._layers = layers
        self._groups = list(groups_of(config.groups, layers, origin))
        self._ranges = _ranges(config, self._methods, origin)
        _check(config, self._ranges, self._methods, origin)
        _check_tokenizer(config, self._inputs, origin)

    @cached_property
    def genes(self) -> tuple[Scalar, ...]:
        """The method's gene first (if any), then group by group."""
        return tuple(self._genes())

    @cached_property
    def _at(self) -> Mapping[str, int]:
        return {gene.name: i for i, gene in enumerate(self.genes)}

    def recipe(self, genome: Genome) -> Merge:
        """The recipe of a genome; genes that its method does not take are left unused."""
        signature = self._signature(genome)
        inputs = {name: self._sources[name] for name in self._inputs}
        shared = {k: v for k, v in self._config.options.items() if _takes(signature.shared, k)}
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
            there = theirs.at(place_of(group.where[0]))
            values |= {group.gene(name): value for name, value in there.items()}
        genome = tuple(
            theirs.signature.name
            if isinstance(gene, ChoiceGene)
            else gene.unit(values[gene.name])
            if gene.name in values
            else 0.5
            for gene in self.genes
        )
        theirs.check_equals(self._parameters_of(self.recipe(genome)), layers=self._layers)
        return genome

    def active(self, genome: Genome) -> tuple[bool, ...]:
        """All but the parameters that the genome's method does not take."""
        signature = self._signature(genome)
        return tuple(
            isinstance(gene, ChoiceGene)
            or any(
                _takes(model, gene.name.split("@")[0].rpartition(".")[2])
                for model in (signature.each, signature.shared)
            )
            for gene in self.genes
        )

    def _parameters_of(self, recipe: Recipe) -> MergeParameters:
        return MergeParameters(
            recipe,
            parents={name: self._sources[name] for name in self._parents},
            base=self._sources[self._config.base] if self._config.base else None,
            methods=self._methods,
            seed=self._config.seed,
            tokenizer=self._config.tokenizer,
        )

    def landmarks(self) -> dict[str, Genome]:
        """The uniform merge (weights 1/n, the rest neutral) and each parent alone."""
        marks = {"uniform": self._at_weights(dict.fromkeys(self._parents, 1 / len(self._parents)))}
        if "weight" in self._ranges:
            for parent in self._parents:
                alone = {name: float(name == parent) for name in self._parents}
                marks[f"parent:{parent}"] = self._at_weights(alone)
        return marks

    def samples(self) -> list[Recipe]:
        """One recipe of each method, all genes in the middle."""
        choices: list[tuple[float | str, ...]] = [
            gene.choices if isinstance(gene, ChoiceGene) else (0.5,) for gene in self.genes
        ]
        return [self.recipe(middle) for middle in itertools.product(*choices)]

    def _at_weights(self, weights: Mapping[str, float]) -> Genome:
        """Neutral genes: the given weights, density 1, lambda 1, t one half, the first method."""
        genome: list[float | str] = []
        for gene in self.genes:
            if isinstance(gene, ChoiceGene):
                genome.append(gene.choices[0])
                continue
            parameter = gene.name.split("@")[0]
            parent, _, own = parameter.rpartition(".")
            match own:
                case "weight":
                    genome.append(gene.unit(weights[parent]))
                case "density" | "lambda":
                    genome.append(gene.unit(1.0))
                case _:
                    genome.append(0.5)
        return tuple(genome)

    @property
    def _inputs(self) -> list[str]:
        base = self._config.base
        return list(dict.fromkeys([*([base] if base else []), *self._parents]))

    def _genes(self) -> Iterator[Scalar]:
        if len(self._methods) > 1:
            yield ChoiceGene(name="method", choices=tuple(s.name for s in self._methods))
        for group in self._groups:
            for parameter, bounds in self._ranges.items():
                if any(_takes(s.each, parameter) for s in self._methods):
                    names = [f"{parent}.{parameter}" for parent in self._parents]
                else:
                    names = [parameter]
                for name in names:
                    yield FloatGene(name=group.gene(name), **bounds.model_dump())

    def _signature(self, genome: Genome) -> Signature:
        if len(self._methods) == 1:
            return self._methods[0]
        return next(s for s in self._methods if s.name == genome[0])

    def _rule(self, group: Group, where: Selector, genome: Genome, signature: Signature) -> Rule:
        def value(name: str) -> float:
            gene, unit = self.genes[i := self._at[group.gene(name)]], genome[i]
            assert isinstance(gene, FloatGene)
            return gene.value(float(unit))

        shared = {k: value(k) for k in self._ranges if _takes(signature.shared, k)}
        own = [k for k in self._ranges if _takes(signature.each, k)]
        inputs = {p: {k: value(f"{p}.{k}") for k in own} for p in self._parents} if own else {}
        return Rule(where=where, options=shared, inputs=inputs)


def _takes(model: type[Value], parameter: str) -> bool:
    return parameter in (field.alias or name for name, field in model.model_fields.items())


def _keys(model: type[Value]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _method(name: str, methods: Mapping[str, Signature], origin: str) -> Signature:
    if name not in methods:
        raise ConfigError(
            f"{origin}.method: unknown method {name!r}; {did_you_mean(name, methods)}"
        )
    return methods[name]


def _parents(
    config: ParameterSpaceConfig, sources: Mapping[str, Source], origin: str
) -> tuple[str, ...]:
    for key, names in (("base", [config.base] if config.base else []), ("parents", config.parents)):
        for name in names or ():
            if name not in sources:
                raise ConfigError(
                    f"{origin}.{key}: {name!r} is not among the sources;"
                    f" {did_you_mean(name, sources)}"
                )
    parents = config.parents or tuple(name for name in sources if name != config.base)
    if not parents:
        raise ConfigError(f"{origin}.parents: there is nothing to merge beside the base")
    return parents


def _ranges(
    config: ParameterSpaceConfig, methods: Sequence[Signature], origin: str
) -> dict[str, Range]:
    """Every gene's range; of a name alone, what all methods recommend taken together."""
    if isinstance(config.genes, Mapping):
        return {
            name: span if isinstance(span, Range) else Range(low=span[0], high=span[1])
            for name, span in config.genes.items()
        }
    ranges = {}
    for name in config.genes:
        spans = [method.search_ranges[name] for method in methods if name in method.search_ranges]
        if not spans:
            known = sorted({key for method in methods for key in method.search_ranges})
            raise ConfigError(
                f"{origin}.genes: {', '.join(config.methods)} recommends no range for {name!r};"
                f" give one, as in {{{name}: [0, 1]}}; {did_you_mean(name, known)}"
            )
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        ranges[name] = Range(low=low, high=high, log=all(len(span) == 3 for span in spans))
    return ranges


def _check(
    config: ParameterSpaceConfig,
    ranges: Mapping[str, Range],
    methods: Sequence[Signature],
    origin: str,
) -> None:
    """Genes and options exist in some method, ranges hold, and every method gets what it needs."""
    known = sorted({key for s in methods for key in (*_keys(s.each), *_keys(s.shared))})
    for key, given in (("genes", ranges), ("options", config.options)):
        for name in given:
            if name not in known:
                raise ConfigError(
                    f"{origin}.{key}: no parameter {name!r} in {', '.join(config.methods)};"
                    f" {did_you_mean(name, known)}"
                )
    if not ranges:
        raise ConfigError(
            f"{origin}.genes: a space needs at least one gene; known: {', '.join(known)}"
        )
    for signature in methods:
        if signature.needs_base and config.base is None:
            raise ConfigError(
                f"{origin}.base: method {signature.name!r} needs a base; name one of the sources"
            )
        for model, free in ((signature.each, ()), (signature.shared, tuple(config.options))):
            for name, field in model.model_fields.items():
                key = field.alias or name
                if field.is_required() and key not in (*ranges, *free):
                    raise ConfigError(
                        f"{origin}.genes: method {signature.name!r} needs a range for {key!r}"
                    )
    for name, span in ranges.items():
        _check_range(name, span.low, span.high, methods, f"{origin}.genes.{name}")


def _check_tokenizer(config: ParameterSpaceConfig, inputs: Sequence[str], origin: str) -> None:
    if config.tokenizer is not None:
        try:
            config.tokenizer.check_names(config.base, dict.fromkeys(inputs))
        except ValueError as problem:
            raise ConfigError(f"{origin}.{problem}") from None


def _check_range(
    name: str, low: float, high: float, methods: Sequence[Signature], origin: str
) -> None:
    if not low < high:
        raise ConfigError(f"{origin}: needs low < high, got [{low}, {high}]")
    for model in (model for s in methods for model in (s.each, s.shared) if _takes(model, name)):
        for end in (low, high):
            required = {
                k: 0.5
                for k in _keys(model)
                if next(
                    f for n, f in model.model_fields.items() if (f.alias or n) == k
                ).is_required()
            }
            parse(model, {**required, name: end}, origin=origin)
