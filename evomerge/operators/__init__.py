"""The merge methods, one family a file; other packages add theirs by an entry point for each.

An entry names a function that `evomerge.operators.base.operator` decorates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from evomerge.operators.base import Operator, operator_of
from evomerge.plugins import Registry
from evomerge.recipe.signature import Signature

__all__ = ["OPERATORS", "operators", "signatures"]

V = TypeVar("V")

OPERATORS: Registry[Operator] = Registry(
    role="method",
    group="evomerge.operators",
    built_in={
        "adamerging": "evomerge.operators.learned:adamerging",
        "arcee_fusion": "evomerge.operators.importance:arcee_fusion",
        "breadcrumbs": "evomerge.operators.trimming:breadcrumbs",
        "breadcrumbs_ties": "evomerge.operators.trimming:breadcrumbs_ties",
        "consensus": "evomerge.operators.signs:consensus",
        "dare_linear": "evomerge.operators.dropping:dare_linear",
        "dare_ties": "evomerge.operators.dropping:dare_ties",
        "della": "evomerge.operators.dropping:della",
        "della_linear": "evomerge.operators.dropping:della_linear",
        "delta_weighted": "evomerge.operators.geometry:delta_weighted",
        "emr": "evomerge.operators.signs:emr",
        "expert_merging": "evomerge.operators.learned:expert_merging",
        "ffg": "evomerge.operators.curvature:ffg",
        "fisher": "evomerge.operators.curvature:fisher",
        "iso_c": "evomerge.operators.spectral:iso_c",
        "iso_cts": "evomerge.operators.spectral:iso_cts",
        "karcher": "evomerge.operators.spherical:karcher",
        "linear": "evomerge.operators.averaging:linear",
        "lines": "evomerge.operators.depth:lines",
        "lora_lego": "evomerge.operators.adapters:lora_lego",
        "lorahub": "evomerge.operators.adapters:lorahub",
        "model_stock": "evomerge.operators.geometry:model_stock",
        "multislerp": "evomerge.operators.spherical:multislerp",
        "mwa": "evomerge.operators.averaging:mwa",
        "mwa_factors": "evomerge.operators.adapters:mwa_factors",
        "nearswap": "evomerge.operators.trimming:nearswap",
        "negate": "evomerge.operators.averaging:negate",
        "nuslerp": "evomerge.operators.spherical:nuslerp",
        "opcm": "evomerge.operators.spectral:opcm",
        "ota": "evomerge.operators.curvature:ota",
        "pcb": "evomerge.operators.selecting:pcb",
        "regmean": "evomerge.operators.regression:regmean",
        "resm": "evomerge.operators.spectral:resm",
        "sce": "evomerge.operators.selecting:sce",
        "singular_noise": "evomerge.operators.noise:singular_noise",
        "slerp": "evomerge.operators.spherical:slerp",
        "task_arithmetic": "evomerge.operators.averaging:task_arithmetic",
        "ties": "evomerge.operators.signs:ties",
        "tsvm": "evomerge.operators.spectral:tsvm",
        "uniform_soup": "evomerge.operators.averaging:uniform_soup",
        "varm": "evomerge.operators.geometry:varm",
        "widen": "evomerge.operators.columns:widen",
    },
    describe=lambda method: method.signature.summary,
    accept=operator_of,
)


def operators() -> Mapping[str, Operator]:
    """Every usable method by name, each loaded when it is asked for."""
    return _Methods(lambda method: method)


def signatures() -> Mapping[str, Signature]:
    """How every usable method looks from outside, by name; each loaded when it is asked for."""
    return _Methods(lambda method: method.signature)


@dataclass(frozen=True)
class _Methods(Mapping[str, V]):
    """What is read of each method. One that cannot be loaded is not among them; asked for by its
    name it raises a `ConfigError` that says why."""

    read: Callable[[Operator], V]

    def __getitem__(self, name: str) -> V:
        if name not in OPERATORS.entries:
            raise KeyError(name)
        return self.read(OPERATORS.get(name))

    def __iter__(self) -> Iterator[str]:
        return iter(OPERATORS.usable())

    def __len__(self) -> int:
        return len(OPERATORS.usable())
