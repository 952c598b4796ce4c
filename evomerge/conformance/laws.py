"""What the suites have in common: a law that is not kept."""

from __future__ import annotations

from evomerge.errors import EvomergeError

__all__ = ["LawBroken", "require"]


class LawBroken(EvomergeError):
    """An implementation does not keep a law of its contract."""


def require(holds: bool, law: str) -> None:
    """Raises: LawBroken: with the law, where it does not hold."""
    if not holds:
        raise LawBroken(f"{law}: not so")
