"""mergekit's merge methods and ours: which parameter is which, and what has no equivalent.

The semantics are those of mergekit 0.1.5. What differs on purpose (`docs/mergekit.md`) is refused
where it would change the weights, or a warning where only the random draws differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evomerge.errors import ConfigError

__all__ = ["METHODS", "SCALED", "Method", "Parameters"]

Parameters = dict[str, Any]


def _same(parameters: Parameters) -> Parameters:
    return parameters


@dataclass(frozen=True)
class Method:
    """One method: `shared` and `each` map mergekit's parameter to ours."""

    ours: str
    shared: Mapping[str, str] = field(default_factory=dict)
    each: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """mergekit's, under our names, where a parameter is left out."""
    special: frozenset[str] = frozenset()
    """Shared parameters that `read` takes under mergekit's name."""
    ignored: frozenset[str] = frozenset()
    """Shared parameters that have no effect on the weights."""
    base: bool = True
    """Whether task vectors start from the base; without it, a base that is listed is an operand."""
    read: Callable[[Parameters], Parameters] = _same
    """From mergekit's shared parameters, defaults included, to ours beyond the names."""
    write: Callable[[Parameters], Parameters] = _same
    switches: frozenset[str] = frozenset(
        {"normalize", "normalize_weights", "rescale", "filter_wise"}
        | {"nuslerp_row_wise", "nuslerp_flatten"}
    )
    """Parameters that are true or false."""
    differs: str = ""
    """What a user should know about weights that may differ."""


_OTHER_DRAWS = "the masks are drawn otherwise here, so the weights are equal in distribution only"


def _density_family(
    ours: str, each: Mapping[str, float] | None = None, *, random: bool = False
) -> Method:
    """Generalised task arithmetic: a weight, a density, and whether to rescale and normalise."""
    return Method(
        ours,
        shared={"normalize": "normalize", "lambda": "lambda"},
        each={"weight": "weight", "density": "density", **{name: name for name in each or ()}},
        defaults={
            "normalize": ours == "della",
            "lambda": 1.0,
            "density": 1.0,
            **(each or {}),
        },
        special=frozenset({"rescale"}),
        ignored=frozenset({"int8_mask"}),
        read=_read_rescale(ours, random),
        write=_write_rescale(random),
        differs=_OTHER_DRAWS if random else "",
    )


def _read_rescale(ours: str, random: bool) -> Callable[[Parameters], Parameters]:
    def read(given: Parameters) -> Parameters:
        rescale = given.pop("rescale", random)
        if random:
            return given | {"rescale": "l1" if rescale else "none"}
        if rescale:
            raise ConfigError(f"{ours} with rescale: true has no equivalent; leave it out")
        return given

    return read


def _write_rescale(random: bool) -> Callable[[Parameters], Parameters]:
    def write(ours: Parameters) -> Parameters:
        rescale = ours.pop("rescale", "inverse_keep")
        if not random:
            return ours
        if rescale == "inverse_keep":
            raise ConfigError(
                "rescale: inverse_keep has no equivalent in mergekit, which keeps the L1 norm;"
                " take rescale: l1 or none"
            )
        return ours | {"rescale": rescale == "l1"}

    return write


def _read_nuslerp(given: Parameters) -> Parameters:
    columns, flat = given.pop("nuslerp_row_wise", False), given.pop("nuslerp_flatten", True)
    if not flat and columns:  # its vectors run along the rows' axis
        raise ConfigError("nuslerp_row_wise, which takes the columns' angles, has no equivalent")
    return given | {"scope": "tensor" if flat else "row"}


def _write_nuslerp(ours: Parameters) -> Parameters:
    if ours.pop("lambda", 1.0) != 1.0:
        raise ConfigError("nuslerp's lambda has no equivalent in mergekit")
    if ours.pop("scope", "tensor") == "row":
        return ours | {"nuslerp_flatten": False, "nuslerp_row_wise": False}
    return ours


def _read_model_stock(given: Parameters) -> Parameters:
    return given | {"scope": "row" if given.pop("filter_wise", False) else "tensor"}


def _write_model_stock(ours: Parameters) -> Parameters:
    if ours.pop("kappa", 1.0) != 1.0:
        raise ConfigError("model_stock's kappa has no equivalent in mergekit")
    return ours | {"filter_wise": ours.pop("scope", "tensor") == "row"}


def _write_sce(ours: Parameters) -> Parameters:
    if ours.pop("select_scope", "all") != "all" or ours.pop("lambda", 1.0) != 1.0:
        raise ConfigError("sce's select_scope and lambda have no equivalent in mergekit")
    return ours


def _write_nearswap(ours: Parameters) -> Parameters:
    if ours.pop("relative", False):
        raise ConfigError("nearswap's relative t has no equivalent in mergekit")
    return ours


def _write_ties(ours: Parameters) -> Parameters:
    if ours.pop("scope", "tensor") != "tensor" or ours.pop("sign", "mass") != "mass":
        raise ConfigError("ties over the whole model or by count has no equivalent in mergekit")
    return ours


METHODS: Mapping[str, Method] = {
    "linear": Method(
        "linear",
        shared={"normalize": "normalize"},
        each={"weight": "weight"},
        defaults={"normalize": True},
        base=False,
    ),
    "slerp": Method("slerp", shared={"t": "t"}),
    "nuslerp": Method(
        "nuslerp",
        each={"weight": "weight"},
        special=frozenset({"nuslerp_row_wise", "nuslerp_flatten"}),
        read=_read_nuslerp,
        write=_write_nuslerp,
    ),
    "multislerp": Method(
        "multislerp",
        shared={"normalize_weights": "normalize"},
        each={"weight": "weight"},
        defaults={"normalize": True},
        ignored=frozenset({"eps"}),
    ),
    "karcher": Method("karcher", shared={"max_iter": "iterations", "tol": "tolerance"}, base=False),
    "model_stock": Method(
        "model_stock",
        special=frozenset({"filter_wise"}),
        differs="where experts change in opposite directions mergekit steps away from all of"
        " them; here t is at least 0",
        read=_read_model_stock,
        write=_write_model_stock,
    ),
    "arcee_fusion": Method(
        "arcee_fusion",
        differs="of a tensor of more than 1,000,000 elements mergekit takes the quartiles from a"
        " random sample; here they are exact",
    ),
    "nearswap": Method("nearswap", shared={"t": "t"}, write=_write_nearswap),
    "sce": Method(
        "sce",
        shared={"select_topk": "select_topk"},
        defaults={"select_topk": 1.0},
        ignored=frozenset({"int8_mask"}),
        differs="mergekit weighs experts equally where their energies sum to less than 1e-6",
        write=_write_sce,
    ),
    "task_arithmetic": Method(
        "task_arithmetic",
        shared={"normalize": "normalize", "lambda": "lambda"},
        each={"weight": "weight"},
        defaults={"normalize": False, "lambda": 1.0},
        ignored=frozenset({"density", "rescale", "int8_mask"}),
    ),
    "ties": Method(
        "ties",
        shared={"normalize": "normalize", "lambda": "lambda"},
        each={"weight": "weight", "density": "density"},
        defaults={"normalize": True, "lambda": 1.0, "density": 1.0},
        special=frozenset({"rescale"}),
        ignored=frozenset({"int8_mask"}),
        read=_read_rescale("ties", random=False),
        write=_write_ties,
    ),
    "dare_linear": _density_family("dare_linear", random=True),
    "dare_ties": _density_family("dare_ties", random=True),
    "breadcrumbs": _density_family("breadcrumbs", {"gamma": 0.01}),
    "breadcrumbs_ties": _density_family("breadcrumbs_ties", {"gamma": 0.01}),
    "della": _density_family("della", {"epsilon": 0.15}, random=True),
    "della_linear": _density_family("della_linear", {"epsilon": 0.15}, random=True),
}

SCALED = Method(
    "linear",
    each={"scale": "weight"},
    defaults={"weight": 1.0},
    base=False,
    read=lambda given: given | {"normalize": False},
)
"""passthrough with `scale`: the sum of one model."""
