"""The engines' models, here too."""

from __future__ import annotations

from tests.engines.conftest import _one_thread, references, siblings, transformers_engine

__all__ = ["_one_thread", "references", "siblings", "transformers_engine"]
