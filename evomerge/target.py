"""Load what a name stands for, when it is needed: `package.module:attribute`."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["load"]


def load(target: str) -> Any:
    """The attribute that `package.module:attribute` names; imports the module."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
