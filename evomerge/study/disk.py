"""What is said where the disk of a study refuses a write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evomerge.errors import InfrastructureError

__all__ = ["written"]


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Let a write to the record that fails end the search in a sentence; nothing on record is lost.

    Raises:
        InfrastructureError: the disk is full, read-only or broken.
    """
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise InfrastructureError(
            f"{path}: cannot be written ({reason}); what was recorded before is whole: make room or"
            " mend the disk, then `evomerge resume` goes on"
        ) from None
