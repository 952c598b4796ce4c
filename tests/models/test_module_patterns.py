"""Patterns of an adapter: what all of them together may cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import SourceError
from evomerge.models.module_patterns import ModulePatterns

CONFIG = {"target_modules": r".*q_proj", "rank_pattern": {"q_proj": 6}}


def test_all_expressions_together_have_a_limit() -> None:
    spent = ModulePatterns(Path("adapter_config.json"), CONFIG, limit_s=0.0)
    assert spent.value_for("rank_pattern", "layers.0.q_proj", 4) == 6
    with pytest.raises(SourceError, match=r"adapter_config.json: target_modules .* more than 0 s"):
        spent.check_selected("layers.0.q_proj")


def test_within_the_limit_each_module_is_asked_for() -> None:
    patterns = ModulePatterns(Path("adapter_config.json"), CONFIG)
    for layer in range(100):
        patterns.check_selected(f"layers.{layer}.q_proj")
        assert patterns.value_for("rank_pattern", f"layers.{layer}.k_proj", 4) == 4
