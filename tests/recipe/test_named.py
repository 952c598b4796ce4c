"""A model by its name: a folder, a repository, an adapter or a recipe."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path

from evomerge.recipe.named import recipe_named
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge


def test_a_model_is_named_as_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "models" / "math").mkdir(parents=True)
    (tmp_path / "lora").mkdir()
    config = {"base_model_name_or_path": "owner/base"}
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "r.yaml").write_text("kind: merge\nmethod: linear\ninputs: {math: models/math}\n")
    math = str(tmp_path / "models" / "math")
    with chdir(tmp_path):
        assert recipe_named("models/math") == Source(model=math)
        assert recipe_named("owner/math") == Source(model="owner/math")
        assert recipe_named("owner/math@1") == Source(model="owner/math", revision="1")
        adapter = Source(model="owner/base", adapter=str(tmp_path / "lora"))
        assert recipe_named("lora") == adapter
        merge = recipe_named("r.yaml")
        assert isinstance(merge, Merge)
        assert merge.inputs == {"math": Source(model=math)}
