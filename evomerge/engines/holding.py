"""Which weights an engine holds, so that none answers for another's.

An engine that was interrupted while it took new weights holds a mixture. It then answers nothing,
until a load has come to its end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evomerge.errors import InfrastructureError
from evomerge.recipe.digest import canonical_json
from evomerge.recipe.layer_path import LayerPath

__all__ = ["AS_STARTED", "Holding", "along", "expect", "held_by"]

AS_STARTED = "as started"
"""What an engine holds before its first load: the weights of the folder that it started from."""


def along(weights: str, layer_path: LayerPath) -> str:
    """The digest of a path through the layers of the weights with the digest `weights`."""
    said = {"pool": weights, "path": layer_path.model_dump(mode="json")}
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def expect(engine: Any, digest: str) -> None:
    """Let an engine answer only for these weights; one of another package may not know how."""
    if (own := getattr(engine, "expect", None)) is not None:
        own(digest)


def held_by(engine: Any) -> str | None:
    """What an engine says that it holds, where it says so."""
    held: str | None = getattr(engine, "holds", None)
    return held


class Holding:
    """Keeps the digest of what an engine would answer with; engines derive from it."""

    _weights: str | None = AS_STARTED
    _expected: str | None = None

    @property
    def holds(self) -> str | None:
        """The digest of what it would answer with; None where that is a mixture."""
        return None if self._weights is None else self._named(self._weights)

    def expect(self, digest: str | None) -> None:
        """Answer only while the engine holds this, from now on; None: whatever it holds."""
        self._expected = digest

    def _named(self, weights: str) -> str:
        """The digest of what answers, given that of all weights."""
        return weights

    @contextmanager
    def _taking(self, weights: str | None) -> Iterator[None]:
        """While other weights come in, and after what interrupts that, it holds none."""
        self._weights = None
        yield
        self._weights = weights

    def _require_expected(self) -> None:
        """Raises: InfrastructureError: it holds a mixture, or something else than was expected."""
        held = self.holds
        if held is None:
            raise InfrastructureError(
                "the engine's weights are a mixture, since its last load did not come to its end;"
                " it answers after a whole load"
            )
        if self._expected is not None and held != self._expected:
            raise InfrastructureError(
                f"the engine holds the weights {held[:12]}, and is asked for those of"
                f" {self._expected[:12]}"
            )
