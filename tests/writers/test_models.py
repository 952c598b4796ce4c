"""What is made of a recipe, by function."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import evomerge
from evomerge.recipe.source import Source
from tests.families import tiny_tensors, write_model
from tests.merging.loadable import Loadable, check_loads


def test_a_recipe_of_adapters_becomes_an_adapter(tmp_path: Path) -> None:
    models = Loadable(tmp_path / "models")
    recipe = models.recipe("task_arithmetic", "one", "two")
    assert evomerge.merge_adapter(recipe, tmp_path / "adapter") == []
    check_loads(recipe, models.base.model, tmp_path / "adapter")


@pytest.mark.parametrize("keep", [False, True])
def test_who_takes_code_along_is_warned_and_the_card_says_what_it_needs(
    tmp_path: Path, keep: bool
) -> None:
    own = {"AutoModelForCausalLM": "modeling_own.Own"}
    folder = write_model(tmp_path / "donor", tiny_tensors(0), auto_map=own)
    (folder / "modeling_own.py").write_text("class Own: ...")
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": own}))
    source, out = Source(model=str(folder)), tmp_path / "out"
    (said,) = evomerge.merge(source, out, keep_code=keep)
    if keep:
        assert f"carries the Python files of {folder}, which run wherever it is loaded" in said
    else:
        assert f"the code that comes with {folder} is left out" in said
        assert "--keep-code takes it along" in said
    loaded = [line for line in (out / "README.md").read_text().splitlines() if "from_pretr" in line]
    (model,) = (line for line in loaded if "AutoModel" in line)
    (tokenizer,) = (line for line in loaded if "AutoTokenizer" in line)
    assert ("trust_remote_code=True" in model) is keep
    assert "trust_remote_code" not in tokenizer
    assert (out / "modeling_own.py").exists() is keep


def test_code_that_is_not_there_is_not_asked_for(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "donor", tiny_tensors(0))
    assert evomerge.merge(Source(model=str(folder)), tmp_path / "out", keep_code=True) == []
    assert "trust_remote_code" not in (tmp_path / "out" / "README.md").read_text()
