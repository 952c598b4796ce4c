"""LoRA adapters as low-rank changes of named weights.

A weight W of shape (out, in) changes by scale * B A with A (r, in), B (out, r) and scale
alpha / r, or alpha / sqrt(r) for rsLoRA (Hu et al., ICLR 2022, section 4.1; Kalajdzievski 2023).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

from safetensors import safe_open
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.finite import is_finite

__all__ = ["LowRank", "Rows", "read_adapter"]

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_KEY = re.compile(
    r"^base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])(?:\.default)?\.weight$"
)


Rows = slice | EllipsisType | Tensor
"""A range of a tensor's first axis, or indices into it; `...` is all of it, also of a tensor
without axes."""


@dataclass(frozen=True)
class LowRank:
    """The change scale * B A of one weight; factors in float32."""

    a: Tensor
    b: Tensor
    scale: float

    def add_to(self, weight: Tensor, coefficient: float) -> None:
        """weight += coefficient * scale * B A, in place, in float32."""
        weight.addmm_(self.b, self.a, alpha=coefficient * self.scale)

    def rows(self, chosen: Rows) -> LowRank:
        """The change of some rows of the weight."""
        return LowRank(self.a, self.b[chosen], self.scale)

    def dense(self) -> Tensor:
        """The change as a matrix (out, in), float32."""
        return (self.b @ self.a).mul_(self.scale)


def read_adapter(folder: Path) -> dict[str, LowRank]:
    """Weight name -> its low-rank change.

    Raises:
        SourceError: not a LoRA adapter in safetensors, or a variant that changes more than B A.
    """
    config = _config(folder)
    factors: dict[str, dict[str, Tensor]] = {}
    with safe_open(folder / WEIGHTS, framework="pt", device="cpu") as file:
        for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
            match = _KEY.match(key)
            if match is None:
                raise SourceError(
                    f"{folder / WEIGHTS}: {key!r} is not a LoRA factor; merge the adapter into its"
                    " model first (peft's merge_and_unload does)"
                )
            factors.setdefault(match["module"], {})[match["factor"]] = file.get_tensor(key).float()
    return {
        f"{module}.weight": _low_rank(folder, module, pair, config)
        for module, pair in sorted(factors.items())
    }


def _low_rank(
    folder: Path, module: str, pair: Mapping[str, Tensor], config: Mapping[str, Any]
) -> LowRank:
    if set(pair) != {"A", "B"} or pair["A"].shape[0] != pair["B"].shape[1]:
        raise SourceError(f"{folder / WEIGHTS}: the factors of {module!r} do not fit each other")
    if not all(is_finite(factor) for factor in pair.values()):
        raise SourceError(f"{folder / WEIGHTS}: the factors of {module!r} are not finite")
    rank = pair["A"].shape[0]
    alpha = float(_pattern(config.get("alpha_pattern"), module, config["lora_alpha"]))
    return LowRank(
        pair["A"], pair["B"], alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    )


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
    for key, plain in (("use_dora", False), ("fan_in_fan_out", False), ("bias", "none")):
        if config.get(key, plain) not in (plain, None):
            raise SourceError(
                f"{path}: {key}={config[key]!r} is not supported; merge it into its model first"
            )
    return config
