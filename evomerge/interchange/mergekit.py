"""mergekit's YAML as a recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evomerge.errors import ConfigError, did_you_mean
from evomerge.interchange.methods import METHODS, Method
from evomerge.interchange.references import References
from evomerge.interchange.rules import TensorParameters, rules_of
from evomerge.interchange.settings import setting_at
from evomerge.recipe.tree import Hop, Merge, Recipe, Stack

__all__ = ["Conversion", "Tensors", "read"]

Tensors = Callable[[Recipe], tuple[int, Sequence[str]]]
"""A model's number of layers and its checkpoint names."""

_TOP = {
    "merge_method",
    "base_model",
    "parameters",
    "models",
    "slices",
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
    "name",
}
_ABSENT: Mapping[str, str] = {
    "ram": "a method for models trained with reinforcement learning",
    "ramplus_tl": "a method for models trained with reinforcement learning",
    "arcee_fusion": "its threshold comes from an unseeded random sample",
}


@dataclass
class Conversion:
    """A recipe, the dtype to write it in, and what a user should know."""

    recipe: Recipe
    dtype: str | None = None
    warnings: list[str] = field(default_factory=list)


def read(documents: Sequence[Any], tensors: Tensors, *, origin: str, folder: Path) -> Conversion:
    """The recipe that the documents (several: mergekit-multi's) describe; the last one's.

    Args:
        tensors: looks into a model's headers.
        folder: what relative paths start from; mergekit's is the working directory.

    Raises:
        ConfigError: what cannot be said exactly, with the reason.
    """
    named: dict[str, Recipe] = {}
    done: Conversion | None = None
    warnings: list[str] = []
    for number, document in enumerate(documents):
        where = origin if len(documents) == 1 else f"{origin}: document {number + 1}"
        if not isinstance(document, Mapping):
            raise ConfigError(f"{where}: expected a mapping of keys")
        done = _Document(document, tensors, where, folder, named, warnings).conversion()
        if name := document.get("name"):
            named[str(name)] = done.recipe
    if done is None:
        raise ConfigError(f"{origin}: holds no document")
    done.warnings = warnings
    return done


@dataclass(frozen=True)
class _Source:
    """A model of a slice."""

    name: str
    recipe: Recipe
    layers: range
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class _Slice:
    sources: Sequence[_Source]
    base: str | None
    parameters: Mapping[str, Any]


class _Document:
    """One document on its way to a recipe."""

    def __init__(
        self,
        data: Mapping[str, Any],
        tensors: Tensors,
        origin: str,
        folder: Path,
        named: Mapping[str, Recipe],
        warnings: list[str],
    ) -> None:
        self._data, self._tensors, self._origin = data, tensors, origin
        self._references, self._warnings = References(origin, folder, named), warnings

    def conversion(self) -> Conversion:
        for key in self._data:
            if key == "modules":
                raise self._fault("modules: models of several modules are not merged")
            if key not in _TOP:
                hint = did_you_mean(key, _TOP)
                self._warn(f"the key {key!r} has no effect in mergekit; {hint}")
        self._check_tokenizer()
        method = str(self._data.get("merge_method", ""))
        if method != "passthrough" and method not in METHODS:
            reason = _ABSENT.get(method) or did_you_mean(method, [*METHODS, "passthrough"])
            raise self._fault(f"merge_method: no equivalent of {method!r} ({reason})")
        slices = self._slices()
        if method == "passthrough":
            return Conversion(self._passthrough(slices), self._dtype())
        known = METHODS[method]
        self._check_base(slices, known)
        if known.differs:
            self._warn(f"{method}: {known.differs}")
        return Conversion(self._merged(slices, known), self._dtype())

    def _check_base(self, slices: Sequence[_Slice], method: Method) -> None:
        for one in slices:
            listed = any(source.name == one.base for source in one.sources)
            if one.base is not None and not method.base and not listed:
                raise self._fault(
                    f"{method.ours} with a base_model that is not among its models fails or changes"
                    " the result in mergekit; list it or leave it out"
                )
            if one.base is None and not method.base:
                self._warn(
                    "without a base_model mergekit draws the donor of configuration and"
                    " tokenizer by chance; here it is the first input by name"
                )

    def _merged(self, slices: Sequence[_Slice], method: Method) -> Recipe:
        aligned = self._aligned(slices)
        if aligned is not None:
            return self._merge(slices, method, aligned)
        parts = [self._merge([one], method, self._cut(one)) for one in slices]
        return _stacked(parts, [len(one.sources[0].layers) for one in slices])

    def _aligned(self, slices: Sequence[_Slice]) -> dict[str, Recipe] | None:
        """The inputs, where every slice merges the same layers of the same whole models."""
        names = [source.name for source in slices[0].sources]
        total, _ = self._tensors(slices[0].sources[0].recipe)
        at = 0
        for one in slices:
            if [source.name for source in one.sources] != names:
                return None
            for source in one.sources:
                if source.layers.start != at:
                    return None
            at = one.sources[0].layers.stop
        return self._inputs_of(slices[0]) if at == total else None

    def _cut(self, one: _Slice) -> dict[str, Recipe]:
        """The inputs as models of the slice's layers only."""
        inputs = self._inputs_of(one)
        found: dict[str, Recipe] = {}
        layers = {source.name: source.layers for source in one.sources}
        for name, recipe in inputs.items():
            chosen = layers.get(name, one.sources[0].layers)
            found[name] = Stack(
                inputs={"model": recipe},
                embedding="model",
                head="model",
                hops=tuple(Hop(of="model", layer=layer) for layer in chosen),
            )
        return found

    def _inputs_of(self, one: _Slice) -> dict[str, Recipe]:
        inputs = {source.name: source.recipe for source in one.sources}
        if one.base is not None:
            inputs.setdefault(one.base, self._references.inputs[one.base])
        return inputs

    def _merge(
        self,
        slices: Sequence[_Slice],
        method: Method,
        inputs: Mapping[str, Recipe],
    ) -> Merge:
        """Layers are counted through the slices."""
        base = slices[0].base
        operands = [s.name for s in slices[0].sources if not (method.base and s.name == base)]
        settings: list[TensorParameters] = []
        first, last = slices[0], slices[-1]
        _, names = self._tensors(slices[0].sources[0].recipe)
        offset = 0
        for one in slices:
            count = len(one.sources[0].layers)
            for step in range(count):
                t = step / (count - 1) if count > 1 else 1.0
                layer = offset + step
                settings += self._layer(one, method, operands, names, layer, step, t)
            offset += count
        for name in names:
            if _layer_of(name) is None:
                end = first if _is_embedding(name) else last
                settings.append(self._at(end, method, operands, name, name, {}, 0.0, None))
        return Merge(
            method=method.ours,
            base=base if method.ours != "karcher" else None,  # which would take it as an origin
            inputs=dict(inputs),
            rules=rules_of(settings),
        )

    def _layer(
        self,
        one: _Slice,
        method: Method,
        operands: Sequence[str],
        names: Sequence[str],
        layer: int,
        step: int,
        t: float,
    ) -> Iterator[TensorParameters]:
        for name in names:
            if _layer_of(name) != 0:
                continue
            inputs = {s.name: _in_layer(name, s.layers[step]) for s in one.sources}
            output = _in_layer(name, layer)
            yield self._at(one, method, operands, output, name, inputs, t, layer)

    def _at(
        self,
        one: _Slice,
        method: Method,
        operands: Sequence[str],
        output: str,
        kind: str,
        inputs: Mapping[str, str],
        t: float,
        layer: int | None,
    ) -> TensorParameters:
        """The parameters of one tensor, ours."""
        top = self._data.get("parameters") or {}
        shared = self._resolved([one.parameters, top], method, output, t, shared=True)
        each = {}
        for source in one.sources:
            if source.name not in operands:
                continue
            levels = [source.parameters, one.parameters, top]
            name = inputs.get(source.name, output)
            own = self._resolved(levels, method, name, t, shared=False)
            if own.get("density", 0.0) >= 1.0 and "epsilon" in own:
                own["epsilon"] = 0.0  # nothing is dropped
            if own:
                each[source.name] = own
        return TensorParameters(
            kind=_kind(kind), layer=layer, options=self._options(method, shared, each), each=each
        )

    def _resolved(
        self,
        levels: Sequence[Mapping[str, Any]],
        method: Method,
        tensor: str,
        t: float,
        *,
        shared: bool,
    ) -> dict[str, Any]:
        names = method.shared if shared else method.each
        found: dict[str, Any] = {
            ours: method.defaults[ours] for ours in names.values() if ours in method.defaults
        }
        for key in dict.fromkeys(key for level in levels for key in level):
            if key not in names and not (shared and key in method.special):
                self._check_key(key, method)
                continue
            for level in levels:
                if key not in level:
                    continue
                where = f"{self._origin}: parameters.{key}"
                value = setting_at(level[key], tensor, t, origin=where)
                if value is not None:
                    found[names.get(key, key)] = value
                    break
        return found

    def _options(
        self, method: Method, shared: dict[str, Any], each: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        try:
            options = method.read(shared)
        except ConfigError as problem:
            raise self._fault(str(problem)) from None
        divides = options.get("normalize", False)
        weights = [one.get("weight", 1.0) for one in each.values()]
        signs = {weight < 0 for weight in weights if isinstance(weight, int | float)}
        voting = method.ours in ("ties", "dare_ties", "della", "breadcrumbs_ties")
        if voting and divides and True in signs:
            raise self._fault(
                f"{method.ours} with normalize and a negative weight: mergekit divides by the sum"
                " of the weights, which undoes the sign; set normalize: false"
            )
        return options

    def _check_key(self, key: str, method: Method) -> None:
        known = {*method.shared, *method.each, *method.ignored, *method.special}
        if key not in known:
            hint = did_you_mean(key, known)
            self._warn(f"the parameter {key!r} has no effect in mergekit; {hint}")

    def _passthrough(self, slices: Sequence[_Slice]) -> Recipe:
        hops: list[tuple[Recipe, Sequence[int]]] = []
        for one in slices:
            if len(one.sources) != 1:
                raise self._fault("passthrough takes one source a slice")
            (source,) = one.sources
            top = self._data.get("parameters") or {}
            levels = (source.parameters, one.parameters, top)
            if any(level.get("scale") is not None for level in levels):
                raise self._fault("passthrough with scale has no equivalent yet")
            hops.append((source.recipe, source.layers))
        total, _ = self._tensors(hops[0][0])
        if len(hops) == 1 and list(hops[0][1]) == list(range(total)):
            return hops[0][0]
        inputs: dict[str, Recipe] = {}
        steps: list[Hop] = []
        for recipe, layers in hops:
            name = next((n for n, known in inputs.items() if known == recipe), f"m{len(inputs)}")
            inputs[name] = recipe
            steps += [Hop(of=name, layer=layer) for layer in layers]
        return Stack(inputs=inputs, embedding=steps[0].of, head=steps[-1].of, hops=tuple(steps))

    def _slices(self) -> list[_Slice]:
        data = self._data
        if ("models" in data) == ("slices" in data):
            raise self._fault("exactly one of models and slices is wanted")
        base = self._base(data.get("base_model"))
        if "models" in data:
            sources = [self._source(one, whole=True) for one in _list(data["models"])]
            return [_Slice(sources, base, {})]
        found = []
        for one in _list(data["slices"]):
            sources = [self._source(source, whole=False) for source in _list(one.get("sources"))]
            if len({len(source.layers) for source in sources}) != 1:
                raise self._fault("slices: the sources of a slice need as many layers each")
            own = self._base(one.get("base_model")) if "base_model" in one else base
            found.append(_Slice(sources, own, one.get("parameters") or {}))
        if not found:
            raise self._fault("slices: is empty")
        return found

    def _source(self, data: Any, *, whole: bool) -> _Source:
        if not isinstance(data, Mapping) or "model" not in data:
            raise self._fault(f"a model is a mapping with the key model, got {data!r}")
        name = self._references.name(data["model"])
        recipe = self._references.inputs[name]
        total, _ = self._tensors(recipe)
        first, end = (0, total) if whole else data.get("layer_range") or (0, total)
        if not 0 <= first < end <= total:
            raise self._fault(f"layer_range: {[first, end]} of {name}, which has {total} layers")
        return _Source(name, recipe, range(first, end), data.get("parameters") or {})

    def _base(self, reference: Any) -> str | None:
        return None if reference is None else self._references.name(reference)

    def _dtype(self) -> str | None:
        name = self._data.get("out_dtype") or self._data.get("dtype")
        return str(name).removeprefix("torch.") if name else None

    def _check_tokenizer(self) -> None:
        source = self._data.get("tokenizer_source")
        tokenizer = self._data.get("tokenizer")
        if isinstance(tokenizer, Mapping):
            source = tokenizer.get("source", "union")
        if source not in (None, "base"):
            raise self._fault(f"tokenizer source {source!r} has no equivalent yet; take 'base'")
        if self._data.get("chat_template") not in (None, "auto"):
            raise self._fault("chat_template: the donor's is kept; set another after the merge")

    def _warn(self, message: str) -> None:
        text = f"{self._origin}: {message}"
        if text not in self._warnings:
            self._warnings.append(text)

    def _fault(self, message: str) -> ConfigError:
        return ConfigError(f"{self._origin}: {message}")


def _stacked(parts: Sequence[Recipe], counts: Sequence[int]) -> Stack:
    inputs: dict[str, Recipe] = {f"slice{i}": part for i, part in enumerate(parts)}
    hops = [
        Hop(of=name, layer=layer)
        for name, count in zip(inputs, counts, strict=True)
        for layer in range(count)
    ]
    return Stack(inputs=inputs, embedding="slice0", head=f"slice{len(parts) - 1}", hops=tuple(hops))


def _list(data: Any) -> list[Any]:
    return list(data) if isinstance(data, Sequence) and not isinstance(data, str) else []


_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")
"""The first number between dots is the layer."""


def _layer_of(name: str) -> int | None:
    found = _LAYER.search(name)
    return int(found[0]) if found else None


def _in_layer(name: str, layer: int) -> str:
    return _LAYER.sub(str(layer), name, count=1)


def _kind(name: str) -> str:
    """The part of a name that does not change with the layer."""
    found = _LAYER.search(name)
    return name[found.end() :] if found else name


def _is_embedding(name: str) -> bool:
    return "embed" in name or ".wte." in name
