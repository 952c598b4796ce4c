"""What is made of a recipe, by function."""

from __future__ import annotations

from pathlib import Path

import evomerge
from tests.merging.loadable import Loadable, check_loads


def test_a_recipe_of_adapters_becomes_an_adapter(tmp_path: Path) -> None:
    models = Loadable(tmp_path / "models")
    recipe = models.recipe("task_arithmetic", "one", "two")
    assert evomerge.merge_adapter(recipe, tmp_path / "adapter") == []
    check_loads(recipe, models.base.model, tmp_path / "adapter")
