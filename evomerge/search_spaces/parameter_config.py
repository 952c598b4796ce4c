"""The settings of a parameter space, and their laws: every name exists and every range holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import inline_recipe
from evomerge.search_spaces.base import SpaceConfig, check_names
from evomerge.search_spaces.groups import Groups
from evomerge.value import Value, parse

__all__ = ["ParameterSpaceConfig", "Range", "takes"]


RESERVED = ("inputs", "options", "where")
"""Keys of a recipe's rule, which stand beside the names of its inputs."""


class Range(Value):
    """The range of a gene."""

    low: float
    """The smallest value, in the parameter's own unit."""
    high: float
    """The largest value."""
    log: bool = False
    """Search the logarithm of the value; `low` is above 0 then."""

    @model_validator(mode="after")
    def _has_logarithms(self) -> Range:
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low > 0, got {self.low}")
        return self


def _shape(given: object) -> str:
    return "keys" if isinstance(given, Mapping | Range) else "list"


# Told apart by their shape, so that a fault is told of the one that was written.
Span = Annotated[
    Annotated[tuple[float, float], Tag("list")] | Annotated[Range, Tag("keys")],
    Discriminator(_shape),
]
Genes = Annotated[
    Annotated[Mapping[str, Span], Tag("keys")] | Annotated[tuple[str, ...], Tag("list")],
    Discriminator(_shape),
]


class ParameterSpaceConfig(SpaceConfig):
    """How the parents' weights are combined, group of tensors by group of tensors."""

    kind: Literal["parameter"]
    base: str | None = None
    """The source that task vectors are differences from, where the method takes one; it also gives
    configuration and tokenizer. Without it the first parent by name gives them."""
    parents: tuple[str, ...] | None = None
    """Sources or `recipes` to merge; all except the base where it is left out."""
    recipes: Mapping[str, Recipe] = Field(default_factory=dict)
    """Parents that are recipes themselves, such as the best of an earlier search: name -> recipe,
    in a YAML file a path or written out."""
    method: str | tuple[str, ...]
    """The merge method, one that `evomerge catalog operators` lists; a list makes it a gene."""
    groups: Groups = Groups()
    """Which tensors share genes; all of them where it is left out."""
    genes: Genes | None = None
    """Parameter -> its range, or a list of names to take the ranges that the methods recommend.
    Left out: all that the methods recommend a range for and that `options` does not fix. Other
    parameters keep their default or the value under `options`."""
    options: Mapping[str, float | int | bool | str] = Field(default_factory=dict)
    """Fixed options of the method: name -> value, the same in every recipe."""
    switches: bool = False
    """A gene for each parent and group that leaves the parent out there (`math.on@...`: its weight
    is 0), beside the gene of its weight."""
    seed: int = 0
    """Seed of the recipes' random masks. It is not a gene, since that would select lucky noise."""
    tokenizer: TokenizerChoice | None = None
    """The vocabulary of every recipe, where the sources' vocabularies differ; a live engine
    needs the base's."""

    @classmethod
    def resolved(cls, data: Mapping[str, Any], *, folder: Path, origin: str) -> Mapping[str, Any]:
        """With `recipes` read, and with genes only for groups that select a tensor, unless the
        settings say otherwise."""
        recipes = data.get("recipes")
        if isinstance(recipes, Mapping):
            read = {
                name: inline_recipe(written, origin=f"{origin}.recipes.{name}", folder=folder)
                for name, written in recipes.items()
            }
            data = {**data, "recipes": read}
        groups = data.get("groups")
        if not isinstance(groups, Mapping) or not groups.get("components"):
            return data
        return {**data, "groups": {"live_only": True, **groups}}

    def known_inputs(self, sources: Mapping[str, Source]) -> dict[str, Recipe]:
        """The sources and the `recipes`, by name."""
        return {**sources, **self.recipes}

    @property
    def methods(self) -> tuple[str, ...]:
        """The merge methods' names: one, or those that the gene chooses among."""
        return (self.method,) if isinstance(self.method, str) else self.method

    def signatures(self, known: Mapping[str, Signature]) -> list[Signature]:
        """The methods' signatures; `known` has every method by name.

        Raises:
            ConfigError: there is no such method.
        """
        for name in self.methods:
            if name not in known:
                raise ConfigError(
                    f"space.method: unknown method {name!r}; {did_you_mean(name, known)}"
                )
        return [known[name] for name in self.methods]

    def parents_among(self, sources: Mapping[str, Source]) -> tuple[str, ...]:
        """The parents' names; all sources and recipes but the base where none is named.

        Raises:
            ConfigError: base or a parent is no source, or there is no parent, or one twice.
        """
        for name in self.recipes:
            if name in sources:
                raise ConfigError(f"space.recipes: {name!r} is a source already; rename it")
        known = self.known_inputs(sources)
        check_names([] if self.base is None else [self.base], sources, "space.base")
        if self.recipes:
            law = "is neither a source nor one of the recipes"
            check_names(self.parents or (), known, "space.parents", law)
        else:
            check_names(self.parents or (), sources, "space.parents")
        parents = self.parents or tuple(name for name in known if name != self.base)
        if len(set(parents)) != len(parents):
            raise ConfigError(f"space.parents: a parent is named twice in {', '.join(parents)}")
        if not parents:
            raise ConfigError("space.parents: there is nothing to merge beside the base")
        for name in RESERVED:
            if name in (self.base, *parents):
                raise ConfigError(f"sources.{name}: rename it; rules of recipes use that word")
        return parents

    def ranges(self, methods: Sequence[Signature]) -> dict[str, Range]:
        """Every gene's range; of a name alone, what all methods recommend taken together.

        Raises:
            ConfigError: no method recommends a range for a name.
        """
        if isinstance(self.genes, Mapping):
            return {
                name: span if isinstance(span, Range) else Range(low=span[0], high=span[1])
                for name, span in self.genes.items()
            }
        names = self.genes
        if names is None:
            recommended = dict.fromkeys(key for method in methods for key in method.search_ranges)
            names = tuple(name for name in recommended if name not in self.options)
        ranges = {}
        for name in names:
            spans = [
                method.search_ranges[name] for method in methods if name in method.search_ranges
            ]
            if not spans:
                known = sorted({key for method in methods for key in method.search_ranges})
                raise ConfigError(
                    f"space.genes: {', '.join(self.methods)} recommends no range for {name!r};"
                    f" give one, as in {{{name}: [0, 1]}}; {did_you_mean(name, known)}"
                )
            low, high = min(span[0] for span in spans), max(span[1] for span in spans)
            ranges[name] = Range(low=low, high=high, log=all(len(span) == 3 for span in spans))
        return ranges

    def check(
        self, ranges: Mapping[str, Range], methods: Sequence[Signature], inputs: Sequence[str]
    ) -> None:
        """Genes and options exist in some method, ranges hold, and every method gets what it needs.

        `inputs`: the names of base and parents.

        Raises:
            ConfigError: naming the key and the law.
        """
        known = sorted({key for s in methods for key in (*_keys(s.each), *_keys(s.shared))})
        for key, given in (("genes", ranges), ("options", self.options)):
            for name in given:
                if name not in known:
                    raise ConfigError(
                        f"space.{key}: no parameter {name!r} in {', '.join(self.methods)};"
                        f" {did_you_mean(name, known)}"
                    )
        if not ranges:
            raise ConfigError(
                f"space.genes: a space needs at least one gene; known: {', '.join(known)}"
            )
        if self.switches and "weight" not in ranges:
            raise ConfigError(
                "space.switches: leave a parent out by a weight of 0, and no weight is a gene here;"
                " add weight to space.genes"
            )
        for signature in methods:
            self._check_needs(signature, ranges)
            if signature.needs_base and self.base in (self.parents or ()):
                raise ConfigError(
                    f"space.parents: {self.base!r} is the base, from which {signature.name!r} takes"
                    " the parents' differences; leave it out of the parents"
                )
        for name, span in ranges.items():
            _check_range(name, span, methods)
        if self.tokenizer is not None:
            try:
                self.tokenizer.check_names(self.base, dict.fromkeys(inputs))
            except ValueError as problem:
                raise ConfigError(f"space.{problem}") from None

    def _check_needs(self, signature: Signature, ranges: Mapping[str, Range]) -> None:
        """The method gets its base, and a value for each parameter without a default."""
        if signature.needs_base and self.base is None:
            raise ConfigError(
                f"space.base: method {signature.name!r} needs a base; name one of the sources"
            )
        for model, free in ((signature.each, ()), (signature.shared, tuple(self.options))):
            for key in _required(model):
                if key not in (*ranges, *free):
                    raise ConfigError(
                        f"space.genes: method {signature.name!r} needs a range for {key!r}"
                    )


def takes(model: type[Value], parameter: str) -> bool:
    """Whether a method's options, those for each input or the shared ones, have the parameter."""
    return parameter in _keys(model)


def _keys(model: type[Value]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _required(model: type[Value]) -> Iterator[str]:
    """The parameters without a default."""
    for name, field in model.model_fields.items():
        if field.is_required():
            yield field.alias or name


def _check_range(name: str, span: Range, methods: Sequence[Signature]) -> None:
    """Both ends are lawful values of the parameter in every method that takes it."""
    key = f"space.genes.{name}"
    if not span.low < span.high:
        raise ConfigError(f"{key}: needs low < high, got [{span.low}, {span.high}]")
    for model in (model for s in methods for model in (s.each, s.shared) if takes(model, name)):
        for end in (span.low, span.high):
            parse(model, {**dict.fromkeys(_required(model), 0.5), name: end}, origin=key)
