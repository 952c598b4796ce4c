"""What a LoRA adapter holds, read from its configuration and headers: no factor is loaded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.adapter_settings import check_settings
from evomerge.models.module_patterns import ModulePatterns
from evomerge.models.safetensors_header import read_header
from evomerge.reading.files import is_there
from evomerge.reading.json_text import read_object

__all__ = ["CONFIG", "WEIGHTS", "AdapterInventory", "FactorInfo", "read_adapter_inventory"]

_NORMS = "norms"
_USUAL_RANK = 8
"""peft's own, where a configuration does not say `r`."""

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_KEY = re.compile(
    r"^base_model\.model\.(?P<module>.+)\.lora_"
    r"(?:(?P<factor>[AB])(?:\.default)?\.weight|magnitude_vector(?:\.default)?(?:\.weight)?)$"
)


@dataclass(frozen=True)
class FactorInfo:
    """The change scale * B A of one weight: its factors' keys, A (rank, in) and B (out, rank)."""

    a: str
    b: str
    rank: int
    scale: float
    shape: tuple[int, int]
    """(out, in); (in, out) where the weight lies transposed, its own in either case."""
    transposed: bool = False
    """Whether the weight lies as (in, out), and changes by A^T B^T."""
    magnitude: str | None = None
    """The key of the norms (out,) that the changed rows get (DoRA); None: they are free."""


@dataclass(frozen=True)
class AdapterInventory:
    """An adapter's folder: its configuration, and what it changes by the weight's name."""

    folder: Path
    config: Mapping[str, Any]
    changes: Mapping[str, FactorInfo]
    modules: Mapping[str, str] = field(default_factory=dict)
    """Weight's name -> its module as peft names it, where that is another one."""


def read_adapter_inventory(folder: Path) -> AdapterInventory:
    """Read the configuration and the headers of an adapter's folder.

    Raises:
        SourceError: not a LoRA adapter in safetensors, or a setting makes the change another than
            s B A; the message names it.
    """
    config = _config(folder)
    pairs: dict[str, dict[str, tuple[str, list[int]]]] = {}
    for key, info in read_header(folder / WEIGHTS).items():
        match = _KEY.match(key)
        if match is None:
            raise SourceError(
                f"{folder / WEIGHTS}: {key!r} is not a LoRA factor; merge the adapter into its"
                " model first (peft's merge_and_unload does)"
            )
        pair, factor = pairs.setdefault(match["module"], {}), match["factor"] or _NORMS
        if factor in pair:
            raise SourceError(
                f"{folder / WEIGHTS}: {key!r} and {pair[factor][0]!r} are the same factor"
            )
        pair[factor] = (key, info["shape"])
    patterns = ModulePatterns(folder / CONFIG, config)
    changes = {
        f"{module}.weight": _factors(folder, module, pair, config, patterns)
        for module, pair in sorted(pairs.items())
    }
    return AdapterInventory(folder, config, changes)


def _factors(
    folder: Path,
    module: str,
    pair: Mapping[str, tuple[str, list[int]]],
    config: Mapping[str, Any],
    patterns: ModulePatterns,
) -> FactorInfo:
    path = folder / CONFIG
    patterns.check_selected(module)
    norms = pair.get(_NORMS)
    pair = {factor: of_it for factor, of_it in pair.items() if factor != _NORMS}
    shapes = [shape for _, shape in pair.values()]
    if (
        set(pair) != {"A", "B"}
        or [len(shape) for shape in shapes] != [2, 2]
        or pair["A"][1][0] != pair["B"][1][1]
    ):
        raise SourceError(f"{folder / WEIGHTS}: the factors of {module!r} do not fit each other")
    (a, (rank, width)), (b, (height, _)) = pair["A"], pair["B"]
    if (norms is not None) != bool(config.get("use_dora")) or (norms and norms[1] != [height]):
        raise SourceError(
            f"{folder / WEIGHTS}: {module!r} has"
            f" {f'norms of shape {norms[1]}' if norms else 'no norms'}, and use_dora is"
            f" {config.get('use_dora')} in {CONFIG}; a DoRA adapter has one for each of the"
            f" {height} rows"
        )
    known = patterns.value_for("rank_pattern", module, config.get("r", _USUAL_RANK))
    if rank != known:
        raise SourceError(
            f"{path}: r and rank_pattern give {module!r} the rank {known}, its factors have {rank}"
        )
    alpha = float(patterns.value_for("alpha_pattern", module, config["lora_alpha"]))
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return FactorInfo(a, b, rank, scale, (height, width), magnitude=norms[0] if norms else None)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not is_there(path):
        raise SourceError(f"{folder}: no {CONFIG}; an adapter is a folder that peft saved")
    if not is_there(folder / WEIGHTS):
        raise SourceError(f"{folder}: no {WEIGHTS}; save the adapter again as safetensors")
    config = read_object(path)
    check_settings(path, config)
    return config
