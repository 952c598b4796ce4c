"""What a LoRA adapter holds, read from its configuration and headers: no factor is loaded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.inventory import read_header

__all__ = ["CONFIG", "WEIGHTS", "AdapterInventory", "FactorInfo", "read_adapter_inventory"]

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_KEY = re.compile(
    r"^base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])(?:\.default)?\.weight$"
)


@dataclass(frozen=True)
class FactorInfo:
    """The change scale * B A of one weight: its factors' keys, A (rank, in) and B (out, rank)."""

    a: str
    b: str
    rank: int
    scale: float
    shape: tuple[int, int]
    """(out, in), the weight's own."""


@dataclass(frozen=True)
class AdapterInventory:
    """An adapter's folder: its configuration, and what it changes by the weight's name."""

    folder: Path
    config: Mapping[str, Any]
    changes: Mapping[str, FactorInfo]


def read_adapter_inventory(folder: Path) -> AdapterInventory:
    """Read the configuration and the headers of an adapter's folder.

    Raises:
        SourceError: not a LoRA adapter in safetensors, or a variant that changes more than B A.
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
        pairs.setdefault(match["module"], {})[match["factor"]] = (key, info["shape"])
    changes = {
        f"{module}.weight": _factors(folder, module, pair, config)
        for module, pair in sorted(pairs.items())
    }
    return AdapterInventory(folder, config, changes)


def _factors(
    folder: Path,
    module: str,
    pair: Mapping[str, tuple[str, list[int]]],
    config: Mapping[str, Any],
) -> FactorInfo:
    shapes = [shape for _, shape in pair.values()]
    if (
        set(pair) != {"A", "B"}
        or [len(shape) for shape in shapes] != [2, 2]
        or pair["A"][1][0] != pair["B"][1][1]
    ):
        raise SourceError(f"{folder / WEIGHTS}: the factors of {module!r} do not fit each other")
    (a, (rank, width)), (b, (height, _)) = pair["A"], pair["B"]
    alpha = float(_pattern(config.get("alpha_pattern"), module, config["lora_alpha"]))
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return FactorInfo(a, b, rank, scale, (height, width))


def _pattern(patterns: Mapping[str, float] | None, module: str, default: float) -> float:
    """PEFT's per-module override: the first pattern that ends the module's name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.exists():
        raise SourceError(f"{folder}: no {CONFIG}; an adapter is a folder that peft saved")
    if not (folder / WEIGHTS).exists():
        raise SourceError(f"{folder}: no {WEIGHTS}; save the adapter again as safetensors")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA":
        raise SourceError(f"{path}: peft_type is {config.get('peft_type')!r}, only LORA is merged")
    if not isinstance(config.get("lora_alpha"), int | float):
        raise SourceError(f"{path}: lora_alpha is {config.get('lora_alpha')!r}, not a number")
    for key, plain in (("use_dora", False), ("fan_in_fan_out", False), ("bias", "none")):
        if config.get(key, plain) not in (plain, None):
            raise SourceError(
                f"{path}: {key}={config[key]!r} is not supported; merge it into its model first"
            )
    return config
