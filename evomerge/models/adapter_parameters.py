"""Factors of parameters that no module's name tells (`target_parameters`), on a model's weights.

transformers keeps all experts of a layer in one parameter; a checkpoint has them in one tensor as
well, or each by itself. peft wraps the module that holds the parameters, once for each, and the
order of the module's parameters says which wrap is whose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.adapter_changes import CopyInfo, ExpertMatrix, FactorInfo, Held
from evomerge.models.adapter_factors import scale_of
from evomerge.models.adapter_headers import CONFIG, WEIGHTS, AdapterInventory
from evomerge.models.inventory import Inventory
from evomerge.models.learned import learned

__all__ = ["with_parameters"]

_DESCRIBE = "evomerge.models.meta_parameters:describe"


def with_parameters(adapter: AdapterInventory, model: Inventory) -> AdapterInventory:
    """The adapter with what it holds for parameters among its changes, by checkpoint names where
    the parameters are experts, else by memory names; copies of all experts likewise.

    Raises:
        SourceError: transformers does not know them, or the factors do not fit.
    """
    fused = {
        name: info
        for name, info in adapter.copies.items()
        if len(info.shape) == 3 and name not in model.tensors
    }
    if not adapter.held and not fused:
        return adapter
    modules = {held.module for held in adapter.held} | {_module(name) for name in fused}
    known = _parameters_of(model, modules)
    changes = dict(adapter.changes)
    for held in adapter.held:
        changes |= dict(_changes(adapter, held, known.get(held.module)))
    copies = {name: info for name, info in adapter.copies.items() if name not in fused}
    for name, info in fused.items():
        copies |= _copies(name, info, known.get(_module(name), {}))
    return replace(adapter, changes=changes, copies=copies, held=())


def _parameters_of(model: Inventory, modules: set[str]) -> Mapping[str, Any]:
    """What transformers knows of the parameters that modules hold themselves, by module; nothing
    of a module, or of a class, that it does not know.
    """
    if not model.config.get("architectures"):
        return {}
    asked = {"config": dict(model.config), "modules": sorted(modules)}
    parameters: Mapping[str, Any] = learned(_DESCRIBE, asked).get("modules", {})
    return parameters


def _copies(name: str, info: CopyInfo, known: Mapping[str, Any]) -> dict[str, CopyInfo]:
    """A copy of all experts as those of each, where the model stores each."""
    parts = known.get("parts", {}).get(name.rpartition(".")[2]) or {name: []}
    return {
        stored: replace(info, part=_within(part), shape=_within(part).shape) if part else info
        for stored, part in parts.items()
    }


def _module(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _changes(
    adapter: AdapterInventory, held: Held, known: Mapping[str, Any] | None
) -> Iterator[tuple[str, FactorInfo]]:
    """(the weight's name, its change) of one pair of factors."""
    lead = f"{adapter.folder / CONFIG}: target_parameters"
    targets = adapter.config["target_parameters"]
    chosen = [
        (name, shape)
        for name, shape in (known or {}).get("parameters", ())
        if any(f".{held.module}.{name}".endswith(f".{target}") for target in targets)
    ]
    if known is None or held.depth >= len(chosen):
        raise SourceError(
            f"{lead}: names no parameter of {held.module!r} that transformers knows in this model,"
            " and the adapter's file has factors for one"
        )
    name, shape = chosen[-1 - held.depth]
    full = f"{held.module}.{name}"
    experts = shape[0] if len(shape) == 3 else 0
    transposed = bool(experts and known["transposed"])
    width, height = (held.a_shape[1], held.b_shape[0])
    lies = [*([experts] if experts else []), *((width, height) if transposed else (height, width))]
    if lies != shape or held.a_shape[0] % max(1, experts):
        raise SourceError(
            f"{adapter.folder / WEIGHTS}: the factors of {full!r} are for the shape {lies}, and the"
            f" model has {shape}"
        )
    rank = held.a_shape[0] // max(1, experts)
    scale = scale_of(adapter.folder / CONFIG, adapter.config, adapter.patterns, full, rank)
    info = FactorInfo(
        held.a, held.b, rank, scale, tuple(shape), transposed, experts=experts, parameter=True
    )
    if not experts:
        yield full, info
        return
    for stored, part in known["parts"][name].items():
        if part is None:
            raise SourceError(f"{lead}: {stored} is stored in an order that is not known here")
        yield stored, info if not part else _of_part(info, part)


def _of_part(info: FactorInfo, part: list[Any]) -> FactorInfo:
    within = _within(part)
    return replace(info, part=within, shape=within.shape)


def _within(part: list[Any]) -> ExpertMatrix:
    expert, rows, columns, turned = part
    return ExpertMatrix(expert, tuple(rows), tuple(columns), turned)
