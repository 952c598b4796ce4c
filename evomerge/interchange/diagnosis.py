"""Errors and warnings about a file that is read."""

from __future__ import annotations

from dataclasses import dataclass

from evomerge.errors import ConfigError

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
