"""Whether a checkpoint is quantised: its numbers are codes, which mean little without their scales.

The average of two parents' codes is no model, and nothing would show that. A configuration that
says it is believed; where it says nothing, tensors' names and types tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.tensor_types import FLOATS, WIDTHS, TensorInfo

__all__ = ["SETTINGS", "check_not_quantised", "quantisation"]

SETTINGS = ("quantization_config", "compression_config")
"""The keys of config.json under which a method of quantising stands."""
_ORIGIN = "name the model that it was made from"
_CURE = f"{_ORIGIN}, or write `dequantize: true` beside `model`, which makes a copy in bfloat16"
_PARTS = re.compile(
    r"\.(?:qweight|qzeros|g_idx|absmax|nested_absmax|quant_map|nested_quant_map|SCB|weight_format"
    r"|quant_state\.\w+|weight_scale(?:_inv|_2)?|weight_zero_point|weight_packed|W_q|codebooks"
    r"|weight_shape|(?:input|k|v|q)_scale|qscales|_packed_params\S*|tensor_impl\S*|_weight_qdata)$"
)
"""What the methods' checkpoints hold beside, or in place of, a weight: GPTQ and AWQ, bitsandbytes,
FP8 by block and by tensor, compressed-tensors, HQQ, AQLM, torchao, Quark."""
_BLOCKS, _SCALES, _WEIGHT = "_blocks", "_scales", ".weight"


def check_not_quantised(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> None:
    """The checkpoint's tensors are numbers that may be averaged.

    Raises:
        SourceError: they are not; the message names the key or the tensor, and what to do.
    """
    sign = next(_signs(tensors), None)
    named = quantisation(config)
    if named is not None:
        key, method = named
        plain = "" if sign else ", or take the key out if its tensors are plain"
        raise SourceError(
            f"{folder / 'config.json'}: {key}: the model is quantised ({method}), and codes cannot"
            f" be merged; {_CURE}{plain}"
        )
    if sign is not None:
        name, what = sign
        raise SourceError(
            f"{folder / tensors[name].file}: the tensor {name!r} {what}: the model is quantised,"
            f" and codes cannot be merged; {_ORIGIN} (transformers cannot dequantise a model whose"
            f" config.json has no {SETTINGS[0]})"
        )


def quantisation(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """(the configuration's key, the method's name) where it says that the model is quantised."""
    for lead, part in (("", config), *_inner(config)):
        for key in SETTINGS:
            settings = part.get(key)
            if isinstance(settings, Mapping) and settings:
                method = settings.get("quant_method", settings.get("quant_algo", "no method named"))
                return f"{lead}{key}", str(method)[:60]
    return None


def _inner(config: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The configurations of a model's parts, which may be quantised alone."""
    return [
        (f"{key}.", part)
        for key, part in config.items()
        if key.endswith("_config") and key not in SETTINGS and isinstance(part, Mapping)
    ]


def _signs(tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, str]]:
    """(name, what is odd about it) of tensors that a plain checkpoint does not have."""
    for name, info in sorted(tensors.items()):
        if _PARTS.search(name):
            yield name, "belongs to a packed weight"
        elif name.endswith(_BLOCKS) and f"{name.removesuffix(_BLOCKS)}{_SCALES}" in tensors:
            yield name, "holds blocks with scales of their own"
        elif info.dtype not in WIDTHS:
            yield name, f"is of type {info.dtype}, whose values mean little without their scales"
        elif name.endswith(_WEIGHT) and info.dtype not in FLOATS and len(info.shape) > 1:
            yield name, f"is a matrix of whole numbers ({info.dtype})"
