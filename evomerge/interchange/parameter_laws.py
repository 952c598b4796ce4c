"""What the parameters of one tensor must keep to, so that the recipe that is written can be built.

Messages name mergekit's parameter, the model and the tensor: a user wrote those, and not our rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evomerge.errors import ConfigError
from evomerge.faults import describe
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.interchange.methods import Method
from evomerge.operators import signatures
from evomerge.value import parse

__all__ = ["ParameterLaws", "kept"]

_VOTING = ("ties", "dare_ties", "della", "breadcrumbs_ties")
_MEANS = ("linear", "multislerp")


def kept(own: Mapping[str, Any]) -> dict[str, Any]:
    """A model's parameters with its density between 0 and 1, both of which mergekit has for more.

    From 1 on all is kept; at 0 nothing is, which is what a weight of 0 does.
    """
    density = own.get("density")
    if not isinstance(density, int | float) or 0 < density < 1:
        return dict(own)
    return {
        **own,
        **({"weight": 0.0} if density == 0 else {}),
        **({"epsilon": 0.0} if "epsilon" in own else {}),  # by which nothing is dropped
        "density": 1.0,
    }


class ParameterLaws:
    """The laws of one method's parameters."""

    def __init__(self, method: Method, diagnosis: Diagnosis) -> None:
        self._method, self._diagnosis = method, diagnosis
        self._signature = signatures()[method.ours]
        self._names = {ours: theirs for theirs, ours in {**method.each, **method.shared}.items()}
        self._seen: set[str] = set()

    def check_given(
        self, options: Mapping[str, Any], own: Mapping[str, Any], model: str, tensor: str
    ) -> None:
        """What the method needs of a model is there, and a number; before `kept`.

        Raises:
            ConfigError: naming the parameter, the model and the tensor.
        """
        for theirs, ours in self._method.each.items():
            field = self._signature.each.model_fields.get(ours)
            if ours not in own and field is not None and field.is_required():
                raise self._fault(f"{theirs} is missing for {model}", tensor)
            value = own.get(ours, 0.0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._fault(f"{theirs} of {model}: a number, got {describe(value)}", tensor)
        density = own.get("density", 1.0)
        if density < 0:
            raise self._fault(f"density of {model}: at least 0, got {density:g}", tensor)
        divides = options.get("normalize", False) and self._method.ours not in _VOTING
        if density == 0 and divides and own.get("weight") != 0:
            raise self._fault(
                f"density 0 of {model} with normalize: mergekit divides by the weight of a model"
                " of which nothing is kept; give it weight 0 there, or set normalize: false",
                tensor,
            )

    def check(
        self, options: Mapping[str, Any], each: Mapping[str, Mapping[str, Any]], tensor: str
    ) -> None:
        """The method takes these options and parameters, which are ours; after `kept`.

        Raises:
            ConfigError: naming the parameter, the model and the tensor.
        """
        key = repr([options, each])
        if key in self._seen:
            return
        for ours in self._needed(options):
            raise self._fault(f"{self._names.get(ours, ours)} is missing", tensor)
        try:
            parse(self._signature.shared, options, origin="")
            for model, own in each.items():
                parse(self._signature.each, own, origin=model)
        except ConfigError as problem:
            raise self._fault(str(problem), tensor) from None
        self._check_sums(options, each, tensor)
        self._seen.add(key)

    def _needed(self, options: Mapping[str, Any]) -> list[str]:
        fields = self._signature.shared.model_fields.items()
        names = [field.alias or name for name, field in fields if field.is_required()]
        return [name for name in names if name not in options]

    def _check_sums(
        self, options: Mapping[str, Any], each: Mapping[str, Mapping[str, Any]], tensor: str
    ) -> None:
        method = self._method.ours
        if not options.get("normalize", False):
            return
        weights = [own.get("weight", 1.0) for own in each.values()]
        if method in _VOTING and any(weight < 0 for weight in weights):
            raise self._fault(
                f"{method} with normalize and a negative weight: mergekit divides by the sum"
                " of the weights, which undoes the sign; set normalize: false",
                tensor,
            )
        if method in _MEANS and abs(math.fsum(weights)) < 1e-8:
            raise self._fault(
                f"{method} with normalize and weights that sum to 0: the weights in mergekit are"
                " no numbers",
                tensor,
            )

    def _fault(self, message: str, tensor: str) -> ConfigError:
        return self._diagnosis.fault(f"parameters: {message} (at {tensor})")
