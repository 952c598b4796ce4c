"""The device that tensors are made on, chosen in one place."""

from __future__ import annotations

import torch

from evomerge.errors import ConfigError

__all__ = ["device_named"]


def device_named(name: str) -> torch.device:
    """The device of this name; `auto` is the first GPU where there is one, else the CPU.

    Raises:
        ConfigError: it is not there, or torch cannot use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise ConfigError(f"the device {name!r} cannot be used ({reason})") from None
    return device
