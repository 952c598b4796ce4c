"""What was found in a model, in short: for whoever has to see that it was understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evomerge.models.anatomy import Anatomy
from evomerge.models.answering import architecture_of
from evomerge.models.headers import Headers
from evomerge.models.inventory import CONFIG, Inventory
from evomerge.models.quantised import quantisation
from evomerge.models.sources import found_folder
from evomerge.models.tensor_types import FLOATS
from evomerge.reading.json_text import read_object
from evomerge.recipe.source import Source
from evomerge.wording import count

__all__ = ["ModelSummary", "summaries", "summary_of"]

_WITH_VOCABULARY = re.compile(
    r"\w+(?:For(?:CausalLM|ConditionalGeneration|MaskedLM|PreTraining)|LMHeadModel)"
)
"""Classes that end in a matrix with a row for each token."""
_NUMBER = re.compile(r"\.\d+(?=\.)")
_MOST = 80
"""Letters of a class's name that are shown."""
_SHOWN = 3
"""So many of the names that are left out are said."""


@dataclass(frozen=True)
class ModelSummary:
    """What headers and configuration tell of a model."""

    architecture: str
    """The class that its configuration names, or its model type."""
    towers: Mapping[str, int]
    """Tower -> layers, the main one first."""
    components: tuple[str, ...]
    experts: int | None
    """In each layer; None where there are none."""
    tied_head: bool
    """Whether its head is its embedding."""
    buffers: tuple[str, ...]
    """Stored tensors that are no weights: they are copied. `#` stands for a layer's number."""
    left_out: tuple[str, ...]
    """What its files hold besides, and transformers does not read."""
    dequantised: str | None
    """How the model was quantised that this one is a copy of."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def __str__(self) -> str:
        """`LlamaForCausalLM: decoder of 30 layers; attention, mlp, norm, embedding`."""
        towers = (f"{name} of {count(layers, 'layer')}" for name, layers in self.towers.items())
        experts = f" ({count(self.experts, 'expert')} a layer)" if self.experts else ""
        components = ", ".join(
            f"{name}{experts if name == 'expert' else ''}" for name in self.components
        )
        said = [
            ", ".join(towers) or "no layers that names tell",
            components or "no components that names tell",
            "head tied to the embedding" if self.tied_head else "",
            _listed("buffers", self.buffers),
            _listed("not read", self.left_out),
            f"a copy in bfloat16 of a model quantised by {self.dequantised}"
            if self.dequantised
            else "",
        ]
        name = " ".join(self.architecture.split())[:_MOST]
        return f"{name}: {'; '.join(part for part in said if part)}"


def summary_of(source: Source, models: Headers) -> ModelSummary:
    """The summary of a source's model; of an adapter's the model that it is on.

    Raises:
        SourceError: it cannot be read.
    """
    inventory = models.inventory(source)
    anatomy, config = inventory.anatomy, inventory.config
    plain = read_object(found_folder(source) / CONFIG, constants=True) if source.dequantize else {}
    quantised = quantisation(plain)
    return ModelSummary(
        architecture=architecture_of(config)
        or str(config.get("model_type") or config.get("_class_name") or "no class named"),
        towers={
            own.tower: inventory.layers if own is anatomy.main else own.layers
            for own in anatomy.towers
        },
        components=anatomy.components,
        experts=_experts(inventory, anatomy),
        tied_head=_has_tied_head(inventory),
        buffers=_patterns(
            name for name, info in inventory.tensors.items() if info.dtype not in FLOATS
        ),
        left_out=_patterns(inventory.left_out),
        dequantised=None if quantised is None else quantised[1],
    )


def summaries(
    sources: Iterable[tuple[str, Source]], models: Headers
) -> list[tuple[list[str], ModelSummary]]:
    """(names, summary) of each kind of model among the sources, in their order.

    Raises:
        SourceError: one cannot be read.
    """
    kinds: list[tuple[list[str], ModelSummary]] = []
    for name, source in sources:
        summary = summary_of(source, models)
        alike = next((names for names, known in kinds if known == summary), None)
        if alike is None:
            kinds.append(([name], summary))
        elif name not in alike:
            alike.append(name)
    return kinds


def _experts(inventory: Inventory, anatomy: Anatomy) -> int | None:
    """The largest number of experts in a layer: numbered, or the first side of their tensor."""
    counts = [
        1 + place.expert
        if place.expert is not None
        else next(iter(inventory.tensors[place.name].shape), 1)
        for place in anatomy.places
        if place.component == "expert"
    ]
    return max(counts, default=None)


def _has_tied_head(inventory: Inventory) -> bool:
    """Whether a class that ends in the vocabulary stores no matrix for that."""
    if not _WITH_VOCABULARY.fullmatch(architecture_of(inventory.config)):
        return False
    at_head = [place.name for place in inventory.anatomy.places if place.component == "head"]
    shapes = [inventory.tensors[name].shape for name in at_head]
    embeddings = {
        inventory.tensors[place.name].shape
        for place in inventory.anatomy.places
        if place.component == "embedding" and place.layer is None
    }
    return not any(shape in embeddings for shape in shapes)


def _patterns(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once for all layers."""
    return tuple(dict.fromkeys(_NUMBER.sub(".#", name) for name in sorted(names)))


def _listed(what: str, names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {count(len(names) - _SHOWN, 'more name')}" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"
