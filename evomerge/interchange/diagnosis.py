"""Errors and warnings about a file that is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from evomerge.errors import ConfigError, did_you_mean
from evomerge.faults import describe

__all__ = ["Diagnosis"]


@dataclass(frozen=True)
class Diagnosis:
    """Errors and warnings, each beginning with the place in the file."""

    origin: str
    warnings: list[str]

    def warn(self, message: str) -> None:
        """Add a warning, unless it is there already."""
        text = f"{self.origin}: {message}"
        if text not in self.warnings:
            self.warnings.append(text)

    def fault(self, message: str) -> ConfigError:
        """The error to raise, its message after the place in the file."""
        return ConfigError(f"{self.origin}: {message}")

    def mapping(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """The mapping under a key; an empty one where it is left out.

        Raises:
            ConfigError: something else stands there.
        """
        below = data.get(key) or {}
        if not isinstance(below, Mapping):
            raise self.fault(f"{key}: a mapping is wanted, got {describe(below)}")
        return below

    def check_keys(self, data: Mapping[str, Any], known: Collection[str], lead: str = "") -> None:
        """Warn of keys that are none; `lead` stands before them, as in `tokenizer.`."""
        for key in data:
            if key not in known:
                hint = did_you_mean(str(key), known)
                self.warn(f"the key {f'{lead}{key}'!r} has no effect in mergekit; {hint}")
