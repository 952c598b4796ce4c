"""The recipe: an immutable expression tree over sources.

A node is a `Source`, a `Merge` (parameter space: tensors combined rule by rule), a `Stack`
(data-flow space: which layer of which input runs next) or a `Segments` (natural niches: inputs
combined range by range of the flat weight vector). The laws checked here need no model and no
operator; `evomerge.recipe.check` has those that do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_serializer, model_validator

from evomerge.errors import did_you_mean
from evomerge.recipe.selector import Place, Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.value import Value

__all__ = [
    "KINDS",
    "Chromosome",
    "Hop",
    "Merge",
    "Recipe",
    "Rule",
    "Scaling",
    "Segments",
    "Stack",
    "sources_of",
]

KINDS = ("merge", "segments", "source", "stack")
"""What a recipe's `kind` may be."""

Parameter = float | int | bool | str


def _name_the_kind(schema: dict[str, Any]) -> None:
    """A mapping without a kind is a source, so the others have to name theirs in a file."""
    schema["required"] = ["kind", *schema.get("required", [])]


class _Node(Value):
    """Equal is what has the same canonical JSON, and with it the same digest.

    Python takes 1, 1.0 and True for equal, and 0.0 and -0.0. Digests tell them apart, and they have
    to stay: records and caches go by them.
    """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._text() == other._text()

    __hash__ = Value.__hash__

    def _text(self) -> str:
        return json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True)


class Rule(Value):
    """Parameters for the tensors that `where` selects.

    `options` are the operator's shared parameters, `inputs` those of one input each. In YAML an
    input's parameters stand beside `where` under the input's own name.
    """

    other_keys: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": {"type": ["number", "string", "boolean"]},
        "description": "The parameters of the input of this name.",
    }

    where: Selector = Selector()
    """The tensors that the rule is for; `{}` selects all."""
    options: Mapping[str, Parameter] = Field(default_factory=dict)
    """Options of the method for these tensors; they override the merge's own."""
    inputs: Mapping[str, Mapping[str, Parameter]] = Field(default_factory=dict)
    """Input -> its parameters. In YAML each input stands beside `where` under its own name."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "inputs" in data:
            return data
        own = {key: data[key] for key in ("where", "options") if key in data}
        return own | {"inputs": {k: v for k, v in data.items() if k not in own}}

    @model_serializer
    def _flatten(self) -> dict[str, Any]:
        # What the selector's own dump gives, in half the time: a recipe may have hundreds of rules.
        where = {key: value for key, value in vars(self.where).items() if value is not None}
        flat: dict[str, Any] = {"where": where}
        if self.options:
            flat["options"] = dict(self.options)
        return flat | {name: dict(values) for name, values in self.inputs.items()}


class Merge(_Node):
    """Combine the inputs' weights, tensor by tensor; the first rule that matches a tensor wins."""

    model_config = ConfigDict(json_schema_extra=_name_the_kind)

    kind: Literal["merge"] = "merge"
    """Weights are combined."""
    method: str
    """A merge method; `evomerge catalog` lists them."""
    base: str | None = None
    """The input that the method merges into; what it is used for depends on the method."""
    inputs: Mapping[str, Recipe]
    """Name -> a model or another recipe."""
    options: Mapping[str, Parameter] = Field(default_factory=dict)
    """Options of the method for all tensors."""
    rules: tuple[Rule, ...] = (Rule(),)
    """Parameters by tensor; the first rule that matches wins, the last one matches all."""
    seed: int = 0
    """Seed of every random choice of the method (DARE's masks): the same recipe gives the same
    model."""
    tokenizer: TokenizerChoice | None = None
    """The output's vocabulary, for inputs whose vocabularies differ; left out, they must be the
    same."""

    @model_validator(mode="after")
    def _laws(self) -> Merge:
        if not self.inputs:
            raise ValueError("a merge needs inputs")
        for reserved in ("where", "options"):
            if reserved in self.inputs:
                raise ValueError(f"an input may not be called {reserved!r}: rules use that word")
        if self.base is not None:
            _known("base", self.base, self.inputs)
        if self.tokenizer is not None:
            self.tokenizer.check_names(self.base, self.inputs)
        for rule in self.rules:
            for name in rule.inputs:
                _known("a rule's input", name, self.inputs)
        if not self.rules or not self.rules[-1].where.matches_all:
            raise ValueError("the last rule must match all tensors (where: {})")
        return self

    @property
    def donor(self) -> str:
        """The input that gives configuration, tokenizer and tensor names: the base, else the first
        by name.
        """
        return self.base or min(self.inputs)

    def rule_for(self, place: Place) -> Rule:
        """The first rule that matches; there is one, since the last matches all."""
        return next(rule for rule in self.rules if rule.where.matches(place))


class Hop(Value):
    """Run one layer of one input; `scale` multiplies what enters it, see the stack's `scaling`."""

    of: str
    """The input that the layer is of."""
    layer: Annotated[int, Field(ge=0)]
    """Number of the input's layer, from 0."""
    scale: float = 1.0
    """Factor of the hop's input."""


Scaling = Literal["stream", "mlp_output"]
"""What a hop's scale multiplies: `stream` is the whole residual stream that enters the layer, as
Akiba et al. (2403.13187) write; `mlp_output` only what the hop before added to it last, its MLP's
output (at the first hop the embedding), as the inference code released with the paper does."""


class Stack(_Node):
    """Run the inputs' layers in the order of the hops; no weight is changed.

    The result takes embedding and head (with the last norm) from the inputs that it names.
    """

    model_config = ConfigDict(json_schema_extra=_name_the_kind)

    kind: Literal["stack"] = "stack"
    """Layers run one after the other."""
    inputs: Mapping[str, Recipe]
    """Name -> a model or another recipe."""
    embedding: str
    """The input whose embedding is used."""
    head: str
    """The input whose final norm and output head are used."""
    hops: tuple[Hop, ...]
    """The layers, in the order in which they run."""
    scaling: Scaling = "stream"
    """What the hops' factors multiply: `stream`: the whole residual stream; `mlp_output`: what
    the hop before added to it last."""

    @model_validator(mode="after")
    def _laws(self) -> Stack:
        if not self.hops:
            raise ValueError("a stack needs at least one hop, as in [{of: NAME, layer: 0}]")
        _known("embedding", self.embedding, self.inputs)
        _known("head", self.head, self.inputs)
        for hop in self.hops:
            _known("a hop's input", hop.of, self.inputs)
        return self

    @property
    def donor(self) -> str:
        """The input that gives configuration and tokenizer: the embedding's."""
        return self.embedding


class Chromosome(Value):
    """The weights that `where` selects, as one flat vector that is cut into ranges.

    The vector's order is the model's: embedding, layers ascending, the rest; in each the tensors by
    name, row-major. An input without coefficients has no share in it.
    """

    where: Selector = Selector()
    """The tensors of this chromosome; the first chromosome that selects a tensor has it."""
    ends: tuple[Annotated[int, Field(gt=0)], ...]
    """The element positions where the ranges end, the last one the vector's size."""
    coefficients: Mapping[str, tuple[float, ...]]
    """Input -> its coefficient in each range."""

    @model_validator(mode="after")
    def _laws(self) -> Chromosome:
        if not self.ends or any(following <= end for end, following in pairwise(self.ends)):
            raise ValueError("ends: positions that ascend, at least one")
        for name, many in self.coefficients.items():
            if len(many) != len(self.ends):
                raise ValueError(
                    f"coefficients.{name}: one for each of the {len(self.ends)} ranges, got"
                    f" {len(many)}"
                )
        return self

    def sum_of(self, name: str) -> float:
        """An input's coefficients, summed over the elements."""
        lengths = (end - start for start, end in pairwise((0, *self.ends)))
        many = self.coefficients.get(name, (0.0,) * len(self.ends))
        return sum(length * coefficient for length, coefficient in zip(lengths, many, strict=True))


class Segments(_Node):
    """Sum the inputs' weights with coefficients that are constant in ranges of the flat vector.

    A tensor belongs to the first chromosome that selects it. What a search by natural niches
    breeds is of this kind; see `evomerge.recipe.segments`.
    """

    model_config = ConfigDict(json_schema_extra=_name_the_kind)

    kind: Literal["segments"] = "segments"
    """Weights are summed, range by range."""
    base: str
    """The input that gives configuration, tokenizer and buffers."""
    inputs: Mapping[str, Recipe]
    """Name -> a model or another recipe."""
    chromosomes: tuple[Chromosome, ...]
    """The coefficients, tensors group by group; the last one selects all that is left."""

    @model_validator(mode="after")
    def _laws(self) -> Segments:
        _known("base", self.base, self.inputs)
        for chromosome in self.chromosomes:
            for name in chromosome.coefficients:
                _known("a chromosome's coefficients", name, self.inputs)
        if not self.chromosomes or not self.chromosomes[-1].where.matches_all:
            raise ValueError("the last chromosome must match all tensors (where: {})")
        return self

    @property
    def donor(self) -> str:
        """The input that gives configuration, tokenizer and tensor names: the base."""
        return self.base

    def shares(self) -> dict[str, float]:
        """Input -> its coefficient, averaged over all elements.

        An input that is itself a change of another input by a merge counts as that one.
        """
        total = sum(chromosome.ends[-1] for chromosome in self.chromosomes)
        shares: dict[str, float] = {}
        for name, child in self.inputs.items():
            base = child.base if isinstance(child, Merge) and child.base in self.inputs else None
            share = sum(chromosome.sum_of(name) for chromosome in self.chromosomes) / total
            shares[base or name] = shares.get(base or name, 0.0) + share
        return shares


def _kind(data: Any) -> str:
    """A mapping without a kind is a source: `{model: ./math}`."""
    if isinstance(data, Mapping):
        return str(data.get("kind", "source"))
    return str(getattr(data, "kind", "source"))


def _known(what: str, name: str, inputs: Mapping[str, Any]) -> None:
    if name not in inputs:
        raise ValueError(
            f"{what} names {name!r}, which is not an input; {did_you_mean(name, inputs)}"
        )


Recipe = Annotated[
    Annotated[Source, Tag("source")]
    | Annotated[Merge, Tag("merge")]
    | Annotated[Stack, Tag("stack")]
    | Annotated[Segments, Tag("segments")],
    Discriminator(_kind),
]

Merge.model_rebuild()
Stack.model_rebuild()
Segments.model_rebuild()


def sources_of(recipe: Recipe) -> Iterator[Source]:
    """Every source below `recipe`, depth first, in the order of the inputs."""
    match recipe:
        case Source():
            yield recipe
        case Merge() | Stack() | Segments():
            for child in recipe.inputs.values():
                yield from sources_of(child)
