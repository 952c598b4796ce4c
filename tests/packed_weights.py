"""Weights packed as methods of quantising store them.

Codes are drawn, so that the weights that they stand for are known exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["awq", "gptq", "mxfp4"]

GROUP = 32
"""Inputs that share a scale."""

_FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
"""The values of the 4-bit float e2m1 by code (OCP Microscaling Formats, 2023, section 5.3.3)."""
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column of eight that each four bits of a word hold, from the lowest."""


def mxfp4(experts: int, rows: int, columns: int) -> tuple[dict[str, Tensor], Tensor]:
    """({`_blocks`: (experts, rows, columns / 32, 16), `_scales`: one a block}, the weights as
    gpt-oss has them in memory, (experts, columns, rows))."""
    blocks = columns // GROUP
    code = torch.randint(16, (experts, rows, blocks, GROUP))
    power = torch.randint(120, 128, (experts, rows, blocks))
    packed = code[..., 0::2] | (code[..., 1::2] << 4)  # the first of two in the low bits
    value = _FP4[code] * torch.exp2(power - 127.0)[..., None]
    stored = {"_blocks": packed.to(torch.uint8), "_scales": power.to(torch.uint8)}
    return stored, value.reshape(experts, rows, columns).transpose(1, 2)


def gptq(outputs: int, inputs: int) -> tuple[dict[str, Tensor], Tensor]:
    """(the tensors of a linear layer in 4 bits, its weight (outputs, inputs))."""
    code, zero, scale = _drawn(outputs, inputs)
    stored = {
        "qweight": _words(torch.stack([code[k::8] for k in range(8)])),
        "qzeros": _words(
            torch.stack([zero[:, k::8] - 1 for k in range(8)])
        ),  # one less, as format 1
        "scales": scale,
        "g_idx": (torch.arange(inputs) // GROUP).to(torch.int32),
    }
    return stored, _value(code, zero, scale)


def awq(outputs: int, inputs: int) -> tuple[dict[str, Tensor], Tensor]:
    """(the tensors of a linear layer in 4 bits, its weight (outputs, inputs))."""
    code, zero, scale = _drawn(outputs, inputs)
    stored = {
        "qweight": _words(torch.stack([code[:, k::8] for k in _AWQ_ORDER])),
        "qzeros": _words(torch.stack([zero[:, k::8] for k in _AWQ_ORDER])),
        "scales": scale,
    }
    return stored, _value(code, zero, scale)


def _drawn(outputs: int, inputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (inputs, outputs); zero points and scales (groups, outputs)."""
    groups = inputs // GROUP
    code = torch.randint(16, (inputs, outputs))
    zero = torch.randint(6, 10, (groups, outputs))
    scale = torch.exp2(-torch.randint(6, 9, (groups, outputs)).float()).half()
    return code, zero, scale


def _value(code: Tensor, zero: Tensor, scale: Tensor) -> Tensor:
    spread = (each.repeat_interleave(GROUP, 0) for each in (zero, scale.float()))
    zeros, scales = spread
    return ((code - zeros) * scales).T


def _words(fours: Tensor) -> Tensor:
    """Eight codes of four bits in a word each, the first in its lowest bits."""
    word = sum((four & 15) << (4 * place) for place, four in enumerate(fours))
    assert isinstance(word, Tensor)
    return torch.where(word >= 2**31, word - 2**32, word).to(torch.int32)
