"""A quantised model written once more in bfloat16, by transformers; for a process of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from evomerge.errors import SourceError

__all__ = ["dequantise"]

_PACKAGES = {
    "awq": ("gptqmodel", "accelerate"),
    "gptq": ("optimum", "gptqmodel"),
    "bitsandbytes": ("bitsandbytes", "accelerate"),
    "bitsandbytes_4bit": ("bitsandbytes", "accelerate"),
    "bitsandbytes_8bit": ("bitsandbytes", "accelerate"),
    "compressed-tensors": ("compressed_tensors",),
    "fp8": ("accelerate",),
    "mxfp4": ("accelerate",),
    "hqq": ("hqq",),
}
"""What transformers needs for a method, as Python imports it; for others it says so itself."""


def dequantise(request: dict[str, str]) -> None:
    """Load the model of `folder`, dequantised, and save it in bfloat16 into `out`, which is there.

    Raises:
        SourceError: transformers cannot, and why: a package, the method, or the checkpoint.
    """
    folder = Path(request["folder"])
    lead = f"{folder}: dequantize"
    settings = _settings(folder, lead)
    method = _method(settings)
    if missing := [name for name in _PACKAGES.get(method, ()) if not _is_there(name)]:
        raise SourceError(
            f"{lead}: {method} takes {' and '.join(missing)}, which is not installed"
            f" (pip install {' '.join(missing).replace('_', '-')})"
        )
    kind = AUTO_QUANTIZATION_CONFIG_MAPPING.get(method)
    if kind is None:
        raise SourceError(f"{lead}: transformers does not know the method {method!r}")
    if "dequantize" in kind.__init__.__code__.co_varnames:
        settings["dequantize"] = True
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
        config.quantization_config = settings
        model = _class(config, lead).from_pretrained(
            folder, config=config, dtype=torch.bfloat16, use_safetensors=True, device_map="cpu"
        )
        if "dequantize" not in settings:
            model = _unpacked(model)
    except SourceError:
        raise
    except Exception as problem:  # noqa: BLE001 - of any of a dozen libraries
        raise SourceError(f"{lead}: transformers cannot do it: {_first_line(problem)}") from None
    _forget(model)
    model.to(torch.bfloat16).save_pretrained(request["out"])


def _settings(folder: Path, lead: str) -> dict[str, Any]:
    config, _ = transformers.PretrainedConfig.get_config_dict(folder)
    settings = config.get("quantization_config")
    if not isinstance(settings, dict):
        raise SourceError(f"{lead}: only a part of the model is quantised, which is not supported")
    return settings


def _method(settings: dict[str, Any]) -> str:
    method = str(settings.get("quant_method", "no method named"))
    if method == "bitsandbytes":
        return "bitsandbytes_8bit" if settings.get("load_in_8bit") else "bitsandbytes_4bit"
    return method


def _class(config: Any, lead: str) -> Any:
    """The class that the configuration names, else transformers' own choice."""
    for name in config.architectures or ():
        if kind := getattr(transformers, name, None):
            return kind
    raise SourceError(f"{lead}: transformers has no class of the name {config.architectures}")


def _unpacked(model: Any) -> Any:
    """The model with ordinary linear layers, as transformers makes them or the layers themselves
    (GPTQ and AWQ in gptqmodel) say.
    """
    packed = [
        (name, module)
        for name, module in model.named_modules()
        if callable(getattr(module, "dequantize_weight", None)) and hasattr(module, "qweight")
    ]
    if not packed:
        return model.dequantize()
    for name, module in packed:
        weight = module.dequantize_weight().T.to(torch.bfloat16)  # (out, in)
        linear = nn.Linear(weight.shape[1], weight.shape[0], module.bias is not None)
        with torch.no_grad():
            linear.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
            if module.bias is not None:
                linear.bias = nn.Parameter(module.bias.to(torch.bfloat16), requires_grad=False)
        model.set_submodule(name, linear)
    model.hf_quantizer.remove_quantization_config(model)
    return model


def _forget(model: Any) -> None:
    """Take away what would quantise the model again while it is saved."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    if hasattr(model, "_weight_conversions"):
        del model._weight_conversions  # those of its class are found again


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).split("\n", 1)[0][:300]
