"""mergekit's YAML as a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evomerge.errors import ConfigError, did_you_mean
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.interchange.methods import METHODS, SCALED, Method
from evomerge.interchange.parameter_resolution import ParameterResolution
from evomerge.interchange.references import References
from evomerge.interchange.rules import rules_of
from evomerge.interchange.slices import Slice, Slices, Tensors
from evomerge.interchange.tokenizers import read_tokenizer
from evomerge.models.tensor_types import stored_type
from evomerge.operators import signatures
from evomerge.recipe.tokenizer import BASE, TokenizerChoice
from evomerge.recipe.tree import Hop, Merge, Recipe, Stack
from evomerge.wording import count

__all__ = ["Conversion", "DocumentReading"]

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
}


@dataclass
class Conversion:
    """A recipe, the dtype to write it in, and what a user should know."""

    recipe: Recipe
    dtype: str | None = None
    warnings: list[str] = field(default_factory=list)


class DocumentReading:
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
        self._data, self._tensors = data, tensors
        self._diagnosis = Diagnosis(origin, warnings)
        self._references = References(self._diagnosis, folder, named)

    def conversion(self) -> Conversion:
        """The document as a recipe. Raises: ConfigError: it has no exact equivalent."""
        if "modules" in self._data:
            raise self._diagnosis.fault("modules: models of several modules are not merged")
        self._diagnosis.check_keys(self._data, _TOP)
        if self._data.get("chat_template") not in (None, "auto"):
            raise self._diagnosis.fault("chat_template: the donor's is kept; set another after it")
        method = str(self._data.get("merge_method", ""))
        if method != "passthrough" and method not in METHODS:
            reason = _ABSENT.get(method) or did_you_mean(method, [*METHODS, "passthrough"])
            raise self._diagnosis.fault(f"merge_method: no equivalent of {method!r} ({reason})")
        slices = Slices(self._data, self._tensors, self._references, self._diagnosis).read()
        choice = read_tokenizer(self._data, self._references.name, self._diagnosis)
        if method == "passthrough":
            if choice is not None and choice != TokenizerChoice(source=BASE):
                raise self._diagnosis.fault(
                    "passthrough with a tokenizer other than 'base' has no equivalent: a stack runs"
                    " models of one vocabulary"
                )
            return Conversion(self._passthrough(slices), self._dtype())
        known = METHODS[method]
        self._check_inputs(slices, known, method)
        if known.differs:
            self._diagnosis.warn(f"{method}: {known.differs}")
        return Conversion(self._merged(slices, known, choice), self._dtype())

    def _check_inputs(self, slices: Sequence[Slice], method: Method, theirs: str) -> None:
        """The base is there where it has to be, and beside it as many models as are merged."""
        signature = signatures()[method.ours]
        for piece in slices:
            listed = any(source.name == piece.base for source in piece.sources)
            if piece.base is not None and not method.base and not listed:
                raise self._diagnosis.fault(
                    f"{theirs} with a base_model that is not among its models fails or changes"
                    " the result in mergekit; list it or leave it out"
                )
            if piece.base is None and signature.needs_base:
                raise self._diagnosis.fault(f"base_model: {theirs} needs one")
            if piece.base is None and not method.base:
                self._diagnosis.warn(
                    "without a base_model mergekit draws the donor of configuration and"
                    " tokenizer by chance; here it is the first input by name"
                )
            operands = self._operands(piece, method)
            least, most = signature.min_inputs, signature.max_inputs
            if not least <= len(operands) <= (most or len(operands)):
                beside = " beside the base_model" if method.base else ""
                wanted = count(least, "model") if most else f"at least {count(least, 'model')}"
                raise self._diagnosis.fault(
                    f"{theirs} merges {wanted}{beside}, got {len(operands)}"
                    f" ({', '.join(operands) or 'none'})"
                )

    @staticmethod
    def _operands(piece: Slice, method: Method) -> list[str]:
        """The inputs that take parameters."""
        return [s.name for s in piece.sources if not (method.base and s.name == piece.base)]

    def _merged(
        self, slices: Sequence[Slice], method: Method, choice: TokenizerChoice | None
    ) -> Recipe:
        if choice is not None and method.ours == "karcher":
            raise self._diagnosis.fault("karcher with a tokenizer has no equivalent")
        whole = self._aligned(slices)
        if whole is not None:
            return self._merge(slices, method, whole, choice)
        if choice is not None and (choice.source != BASE or choice.tokens):
            raise self._diagnosis.fault(
                "slices of different layers with a tokenizer other than 'base' have no equivalent:"
                " each would join the vocabularies of its own models"
            )
        if choice is not None and any(piece.base is None for piece in slices):
            raise self._diagnosis.fault("tokenizer 'base' in slices of different layers: no base")
        parts = [self._merge([piece], method, self._cut(piece), choice) for piece in slices]
        return _stacked(parts, [len(piece.sources[0].layers) for piece in slices])

    def _aligned(self, slices: Sequence[Slice]) -> dict[str, Recipe] | None:
        """The inputs, where every slice merges the same layers of the same whole models."""
        names = [source.name for source in slices[0].sources]
        total, _ = self._tensors(slices[0].sources[0].recipe)
        at = 0
        for piece in slices:
            if [source.name for source in piece.sources] != names:
                return None
            for source in piece.sources:
                if source.layers.start != at:
                    return None
            at = piece.sources[0].layers.stop
        return self._inputs_of(slices[0]) if at == total else None

    def _cut(self, piece: Slice) -> dict[str, Recipe]:
        """The inputs as models of the slice's layers only."""
        inputs = self._inputs_of(piece)
        cut: dict[str, Recipe] = {}
        layers = {source.name: source.layers for source in piece.sources}
        for name, recipe in inputs.items():
            chosen = layers.get(name, piece.sources[0].layers)
            cut[name] = Stack(
                inputs={"model": recipe},
                embedding="model",
                head="model",
                hops=tuple(Hop(of="model", layer=layer) for layer in chosen),
            )
        return cut

    def _inputs_of(self, piece: Slice) -> dict[str, Recipe]:
        inputs = {source.name: source.recipe for source in piece.sources}
        if piece.base is not None:
            inputs.setdefault(piece.base, self._references.inputs[piece.base])
        return inputs

    def _merge(
        self,
        slices: Sequence[Slice],
        method: Method,
        inputs: Mapping[str, Recipe],
        choice: TokenizerChoice | None = None,
    ) -> Merge:
        """Layers are counted through the slices."""
        base = slices[0].base
        operands = self._operands(slices[0], method)
        resolution = ParameterResolution(method, operands, self._parameters(), self._diagnosis)
        _, names = self._tensors(slices[0].sources[0].recipe)
        if choice is not None:
            try:
                choice.check_names(base, inputs)
            except ValueError as problem:
                raise self._diagnosis.fault(str(problem)) from None
        return Merge(
            method=method.ours,
            base=base if method.ours != "karcher" else None,  # which would take it as an origin
            inputs=dict(inputs),
            rules=rules_of(resolution.parameters(slices, names)),
            tokenizer=choice,
        )

    def _passthrough(self, slices: Sequence[Slice]) -> Recipe:
        for piece in slices:
            if len(piece.sources) != 1:
                raise self._diagnosis.fault("passthrough takes one source a slice")
        levels = [self._parameters()]
        levels += [
            level for piece in slices for level in (piece.parameters, piece.sources[0].parameters)
        ]
        for level in levels:
            self._diagnosis.check_keys(level, ["scale"], "parameters.")
        for piece in slices:
            if piece.base is not None and piece.base != slices[0].sources[0].name:
                self._diagnosis.warn(
                    "base_model of passthrough: configuration and tokenizer are those of"
                    f" {slices[0].sources[0].name}, the model of the first slice"
                )
        if any(level.get("scale") is not None for level in levels):
            return self._scaled(slices)
        hops = [(piece.sources[0].recipe, piece.sources[0].layers) for piece in slices]
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

    def _scaled(self, slices: Sequence[Slice]) -> Recipe:
        """Tensors times numbers are a sum of one."""
        own = [Slice(piece.sources, None, piece.parameters) for piece in slices]
        whole = self._aligned(own)
        if whole is not None:
            return self._merge(own, SCALED, whole)
        parts = [self._merge([piece], SCALED, self._cut(piece)) for piece in own]
        return _stacked(parts, [len(piece.sources[0].layers) for piece in own])

    def _parameters(self) -> Mapping[str, Any]:
        return self._diagnosis.mapping(self._data, "parameters")

    def _dtype(self) -> str | None:
        written: str | None = None
        for key in ("dtype", "out_dtype"):
            if name := self._data.get(key):
                written = str(name).removeprefix("torch.")
                try:
                    stored_type(written)
                except ConfigError as problem:
                    raise self._diagnosis.fault(str(problem)) from None
        return written


def _stacked(parts: Sequence[Recipe], counts: Sequence[int]) -> Stack:
    inputs: dict[str, Recipe] = {f"slice{i}": part for i, part in enumerate(parts)}
    hops = [
        Hop(of=name, layer=layer)
        for name, layers in zip(inputs, counts, strict=True)
        for layer in range(layers)
    ]
    return Stack(inputs=inputs, embedding="slice0", head=f"slice{len(parts) - 1}", hops=tuple(hops))
