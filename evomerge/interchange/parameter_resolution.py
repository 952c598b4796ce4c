"""The parameters that a mergekit document gives to every tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evomerge.errors import ConfigError, did_you_mean
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.interchange.layers import is_embedding
from evomerge.interchange.methods import Method
from evomerge.interchange.parameter_laws import ParameterLaws, kept
from evomerge.interchange.rules import TensorParameters
from evomerge.interchange.settings import setting_at
from evomerge.interchange.slices import Slice
from evomerge.models.anatomy import Anatomy, anatomy_of
from evomerge.models.architecture import in_layer, within_layer
from evomerge.recipe.selector import Place

__all__ = ["ParameterResolution"]


class ParameterResolution:
    """The parameters of every tensor of the slices that one method merges.

    Precedence, gradients and filters are mergekit's (0.1.5): embedding, final norm and head are at
    depth 0 of the first or the last slice.
    """

    def __init__(
        self,
        method: Method,
        operands: Sequence[str],
        top: Mapping[str, Any],
        diagnosis: Diagnosis,
    ) -> None:
        """`operands`: the inputs that take parameters; `top`: the document's parameters."""
        self._method, self._operands = method, operands
        self._top, self._diagnosis = top, diagnosis
        self._laws = ParameterLaws(method, diagnosis)

    def parameters(self, slices: Sequence[Slice], names: Sequence[str]) -> list[TensorParameters]:
        """Of every tensor, ours; layers are counted through the slices, and in other towers than
        the main one from their own first layer to their last.

        `names`: the checkpoint names of one of the models.

        Raises:
            ConfigError: a parameter has no equivalent.
        """
        anatomy = anatomy_of(names)
        first = [at for at in anatomy.places if at.layer == 0 and at.main]
        resolved: list[TensorParameters] = []
        offset = 0
        for piece in slices:
            count = len(piece.sources[0].layers)
            for step in range(count):
                t = step / (count - 1) if count > 1 else 1.0
                resolved += self._layer(piece, first, offset + step, step, t)
            offset += count
        resolved += self._beside(slices[0], anatomy)
        for name in names:
            if anatomy.place(name).layer is None:
                end = slices[0] if is_embedding(name) else slices[-1]
                resolved.append(self._at(end, name, name, {}, 0.0, Place(None, None)))
        return resolved

    def _beside(self, piece: Slice, anatomy: Anatomy) -> Iterator[TensorParameters]:
        """The layers of the towers that slices do not count."""
        for at in anatomy.places:
            if at.layer is not None and not at.main:
                last = anatomy.depth(at.tower) - 1
                t = at.layer / last if last else 1.0
                yield self._at(piece, at.name, at.name, {}, t, at)

    def _layer(
        self,
        piece: Slice,
        first: Sequence[Place],
        layer: int,
        step: int,
        t: float,
    ) -> Iterator[TensorParameters]:
        for at in first:
            inputs = {s.name: in_layer(at.name, s.layers[step]) for s in piece.sources}
            output = in_layer(at.name, layer)
            yield self._at(piece, output, at.name, inputs, t, at._replace(layer=layer))

    def _at(
        self,
        piece: Slice,
        output: str,
        kind: str,
        inputs: Mapping[str, str],
        t: float,
        at: Place,
    ) -> TensorParameters:
        """The parameters of one tensor, ours."""
        shared = self._resolved([piece.parameters, self._top], output, t, shared=True)
        options = self._options(shared)
        each = {}
        for source in piece.sources:
            if source.name not in self._operands:
                continue
            levels = [source.parameters, piece.parameters, self._top]
            name = inputs.get(source.name, output)
            own = self._resolved(levels, name, t, shared=False)
            self._laws.check_given(options, own, source.name, name)
            own = kept(own)
            if own:
                each[source.name] = own
        self._laws.check(options, each, output)
        return TensorParameters(
            kind=within_layer(kind),
            layer=at.layer,
            options=options,
            each=each,
            tower=None if at.main else at.tower,
        )

    def _resolved(
        self,
        levels: Sequence[Mapping[str, Any]],
        tensor: str,
        t: float,
        *,
        shared: bool,
    ) -> dict[str, Any]:
        method = self._method
        names = method.shared if shared else method.each
        resolved: dict[str, Any] = {
            ours: method.defaults[ours] for ours in names.values() if ours in method.defaults
        }
        for key in dict.fromkeys(key for level in levels for key in level):
            if key not in names and not (shared and key in method.special):
                self._check_key(key)
                continue
            for level in levels:
                if key not in level:
                    continue
                where = f"{self._diagnosis.origin}: parameters.{key}"
                value = setting_at(
                    level[key], tensor, t, origin=where, is_switch=key in method.switches
                )
                if value is not None:
                    resolved[names.get(key, key)] = value
                    break
        return resolved

    def _options(self, shared: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._method.read(shared)
        except ConfigError as problem:
            raise self._diagnosis.fault(str(problem)) from None

    def _check_key(self, key: str) -> None:
        method = self._method
        known = {*method.shared, *method.each, *method.ignored, *method.special}
        if key not in known:
            hint = did_you_mean(key, known)
            self._diagnosis.warn(f"the parameter {key!r} has no effect in mergekit; {hint}")
