"""The model card."""

from __future__ import annotations

from evomerge.reports.card.card import card

__all__ = ["card"]
