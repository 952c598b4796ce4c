"""Where sources are: paths, and the folders of adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import SourceError
from evomerge.recipe.located import located
from evomerge.recipe.source import Source
from evomerge.recipe.yaml import parse_recipe


def test_a_folder_whose_name_has_an_at_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "math@2").mkdir()
    expected = Source(model=str(tmp_path / "math@2"))
    assert parse_recipe("math@2", origin="r", folder=tmp_path) == expected
    assert parse_recipe("math@3", origin="r", folder=tmp_path) == Source(model="math", revision="3")


def adapter(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_paths_are_made_absolute_and_hub_names_stay(tmp_path: Path) -> None:
    (tmp_path / "models" / "math").mkdir(parents=True)
    for written, place in (
        ("models/math", str(tmp_path / "models" / "math")),
        ("models/other", "models/other"),
        ("./other", str(tmp_path / "other")),
    ):
        assert located(Source(model=written), tmp_path) == Source(model=place)


@pytest.mark.parametrize("written", ["./lora", "lora"])
def test_the_folder_of_an_adapter_is_its_model_with_it_on_top(tmp_path: Path, written: str) -> None:
    folder = adapter(tmp_path / "lora", base_model_name_or_path="owner/base", revision="abc")
    expected = Source(model="owner/base", revision="abc", adapter=str(folder))
    assert located(Source(model=written), tmp_path) == expected


def test_an_adapters_model_is_looked_for_beside_it_and_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "models" / "base").mkdir(parents=True)
    base = str(tmp_path / "models" / "base")
    adapter(tmp_path / "adapters" / "a", base_model_name_or_path="../../models/base")
    adapter(tmp_path / "adapters" / "b", base_model_name_or_path="models/base")
    adapter(tmp_path / "adapters" / "c", base_model_name_or_path=base, revision="main")
    for name in "abc":
        expected = Source(model=base, adapter=str(tmp_path / "adapters" / name))
        assert located(Source(model=f"adapters/{name}"), tmp_path) == expected


def test_a_model_with_an_adapter_beside_its_weights_is_a_model(tmp_path: Path) -> None:
    (adapter(tmp_path / "model", base_model_name_or_path="owner/base") / "config.json").touch()
    assert located(Source(model="./model"), tmp_path) == Source(model=str(tmp_path / "model"))


def test_a_source_that_names_its_adapter_stays_as_it_is(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "lora", base_model_name_or_path="owner/base")
    written = Source(model="./mine", adapter="lora")
    expected = Source(model=str(tmp_path / "mine"), adapter=str(folder))
    assert located(written, tmp_path) == expected


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"base_model_name_or_path": "/gone/base"}, "was trained on /gone/base, which is not here"),
        ({"base_model_name_or_path": "../base"}, "was trained on ../base, which is not here"),
        ({"base_model_name_or_path": None}, "does not say which model it was trained on"),
        ({}, "does not say which model it was trained on; write {model: MODEL, adapter: "),
    ],
)
def test_an_adapter_whose_model_is_not_to_be_found(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    adapter(tmp_path / "lora", **config)
    data = {"kind": "merge", "method": "linear", "inputs": {"math": "./lora", "json": "owner/json"}}
    with pytest.raises(SourceError) as caught:
        parse_recipe(data, origin="r.yaml", folder=tmp_path)
    assert str(caught.value).startswith(f"r.yaml: inputs.math: {tmp_path / 'lora'}: this LoRA")
    assert said in str(caught.value)


def test_a_configuration_that_is_no_json(tmp_path: Path) -> None:
    adapter(tmp_path / "lora")
    (tmp_path / "lora" / "adapter_config.json").write_text("{")
    with pytest.raises(SourceError, match="not valid JSON"):
        located(Source(model="./lora"), tmp_path)
