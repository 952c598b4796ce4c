"""The floating-point type an engine computes in."""

from __future__ import annotations

from typing import Any

import torch

from evomerge.engines.config import EngineConfig

__all__ = ["precision"]


def precision(config: EngineConfig, about: Any, device: str) -> torch.dtype:
    """The configured type; auto is the checkpoint's own, where the device computes in it."""
    if config.dtype != "auto":
        wanted = getattr(torch, config.dtype)
    elif device == "cpu" and not _cpu_has_bfloat16():
        wanted = torch.float32
    else:
        wanted = about.dtype or torch.float32
    assert isinstance(wanted, torch.dtype)
    return wanted


def _cpu_has_bfloat16() -> bool:
    """Without it a matrix product takes 8 times as long as in float32 (Zen 3, AVX2)."""
    capable = torch.backends.cpu.get_cpu_capability()
    return capable.startswith("AVX512") and torch.cpu._is_avx512_bf16_supported()
