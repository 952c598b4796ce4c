"""What transformers knows of a model's class, for what checkpoint names do not say: what is tied,
which tensors are buffers, what older names are called today, what a key means that is left out.

What a recipe selects never depends on it (`architecture.py` says why).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evomerge.models.learned import learned

__all__ = ["ArchitectureFacts", "architecture_facts", "why_unknown"]

# It imports transformers; `learned` says in which process.
_DESCRIBE = "evomerge.models.meta_model:describe"


@dataclass(frozen=True)
class ArchitectureFacts:
    """The facts of one configuration. A memory name is a tensor's name in the loaded model."""

    names: frozenset[str]
    """Memory names of all tensors that a checkpoint may hold."""
    saved: Mapping[str, tuple[str, ...]]
    """Memory name -> the checkpoint names that it is written as: several for fused experts."""
    loaded: Mapping[str, str | None]
    """Checkpoint name that was asked about -> the memory name it is read into; None: it is not."""
    buffers: frozenset[str]
    """Memory names of what is stored and no weight."""
    unsaved_buffers: frozenset[str]
    """Memory names of what is computed and never stored."""
    tied: Mapping[str, str]
    """Memory name -> that of the tensor which it is."""
    settings: Mapping[str, Any]
    """The configuration with the default of every key that it leaves out."""
    transposed: frozenset[str]
    """Memory names of weights that lie as (in, out)."""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ArchitectureFacts:
        """From the plain data that a process has told."""
        return cls(
            names=frozenset(answer["names"]),
            saved={name: tuple(written) for name, written in answer["saved"].items()},
            loaded=answer["loaded"],
            buffers=frozenset(answer["buffers"]),
            unsaved_buffers=frozenset(answer["unsaved_buffers"]),
            tied=answer["tied"],
            settings=answer["settings"],
            transposed=frozenset(answer["transposed"]),
        )

    def canonical(self, stored: str) -> str | None:
        """The checkpoint name as it is written today; None where the tensor is not read.

        Args:
            stored: a name that the facts were asked about.
        """
        name = self.loaded[stored]
        if name is None:
            return None
        written = self.saved[name]
        return stored if len(written) > 1 or stored in written else written[0]


def architecture_facts(
    config: Mapping[str, Any], stored: Iterable[str] = ()
) -> ArchitectureFacts | None:
    """The facts, learned in a process apart and kept; None where transformers does not know the
    architecture, or only with code of its repository, which is never run.

    Args:
        config: of a `config.json`.
        stored: checkpoint names to find in the loaded model.

    Raises:
        InfrastructureError: the process ended without an answer.
    """
    known = learned(_DESCRIBE, {"config": dict(config), "stored": sorted(stored)})
    return None if "unknown" in known else ArchitectureFacts.of(known)


def why_unknown(config: Mapping[str, Any]) -> str | None:
    """Why there are no facts; None where there are."""
    known = learned(_DESCRIBE, {"config": dict(config), "stored": []})
    reason: str | None = known.get("unknown")
    return reason
