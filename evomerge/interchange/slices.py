"""The slices of a mergekit document: which layers of which models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evomerge.faults import describe
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.interchange.references import References
from evomerge.recipe.tree import Recipe
from evomerge.wording import count

__all__ = ["Slice", "SliceSource", "Slices", "Tensors"]

Tensors = Callable[[Recipe], tuple[int, Sequence[str]]]
"""A model's number of layers and its checkpoint names."""


@dataclass(frozen=True)
class SliceSource:
    """A model of a slice."""

    name: str
    recipe: Recipe
    layers: range
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Slice:
    """A run of layers that is merged from as many layers of each of its models."""

    sources: Sequence[SliceSource]
    base: str | None
    parameters: Mapping[str, Any]


_KEYS = ("sources", "base_model", "parameters", "residual_weight")
_MODEL_KEYS = ("model", "parameters")
_SOURCE_KEYS = ("model", "layer_range", "parameters")


class Slices:
    """Reads them, models by their names among the references."""

    def __init__(
        self,
        data: Mapping[str, Any],
        tensors: Tensors,
        references: References,
        diagnosis: Diagnosis,
    ) -> None:
        self._data, self._tensors = data, tensors
        self._references, self._diagnosis = references, diagnosis

    def read(self) -> list[Slice]:
        """The document's slices; `models` are one slice of whole models."""
        data = self._data
        if ("models" in data) == ("slices" in data):
            raise self._diagnosis.fault("exactly one of models and slices is wanted")
        base = self._base(data.get("base_model"))
        if "models" in data:
            sources = self._sources("models", data["models"], whole=True)
            return [Slice(sources, base, {})]
        slices = []
        for entry in _list(data["slices"]):
            if not isinstance(entry, Mapping):
                raise self._diagnosis.fault("slices: each is a mapping with the key sources")
            self._diagnosis.check_keys(entry, _KEYS, "slices.")
            if entry.get("residual_weight") is not None:
                self._diagnosis.warn("slices: residual_weight has no effect in mergekit")
            sources = self._sources("slices.sources", entry.get("sources"), whole=False)
            if len({len(source.layers) for source in sources}) != 1:
                raise self._diagnosis.fault(
                    "slices: the sources of a slice need as many layers each"
                )
            own = self._base(entry.get("base_model")) if "base_model" in entry else base
            slices.append(Slice(sources, own, self._diagnosis.mapping(entry, "parameters")))
        if not slices:
            raise self._diagnosis.fault("slices: is empty")
        return slices

    def _sources(self, key: str, data: Any, *, whole: bool) -> list[SliceSource]:
        """The models of a slice, in their order; one that stands there twice is two inputs."""
        sources: list[SliceSource] = []
        for entry in _list(data):
            source = self._source(entry, [known.name for known in sources], whole=whole)
            self._diagnosis.check_keys(entry, _MODEL_KEYS if whole else _SOURCE_KEYS, f"{key}.")
            if any(known.recipe == source.recipe for known in sources):
                self._diagnosis.warn(
                    f"{key}: the same model stands there twice: here it is two inputs, in mergekit"
                    " an error (before 0.1.5 the last one alone)"
                )
            sources.append(source)
        if not sources:
            raise self._diagnosis.fault(f"{key}: a list of models is wanted, got {describe(data)}")
        return sources

    def _source(self, data: Any, taken: Sequence[str], *, whole: bool) -> SliceSource:
        if not isinstance(data, Mapping) or "model" not in data:
            raise self._diagnosis.fault(f"a model is a mapping with the key model, got {data!r}")
        name = self._references.name(data["model"], taken)
        recipe = self._references.inputs[name]
        total, _ = self._tensors(recipe)
        wanted = (0, total) if whole else data.get("layer_range") or (0, total)
        if len(_list(wanted)) != 2 or any(type(layer) is not int for layer in wanted):
            raise self._diagnosis.fault(f"layer_range: two whole numbers, got {describe(wanted)}")
        first, end = wanted
        if not 0 <= first < end <= total:
            raise self._diagnosis.fault(
                f"layer_range: {[first, end]} of {name}, which has {count(total, 'layer')}"
            )
        return SliceSource(
            name, recipe, range(first, end), self._diagnosis.mapping(data, "parameters")
        )

    def _base(self, reference: Any) -> str | None:
        return None if reference is None else self._references.name(reference)


def _list(data: Any) -> list[Any]:
    return list(data) if isinstance(data, Sequence) and not isinstance(data, str) else []
