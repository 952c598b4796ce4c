"""Names of sources that mean the same on another machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evomerge.errors import SourceError
from evomerge.models.fingerprint import fingerprint
from evomerge.models.portable import is_local, portable
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule
from evomerge.recipe.yaml import dump_recipe, read_recipe
from evomerge.searching.recipe_plan import RecipePlan
from tests.families import Family, write_statistics

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def linear(**inputs: Recipe) -> Merge:
    weights = Rule(inputs={name: {"weight": 1.0} for name in inputs})
    return Merge(method="linear", inputs=inputs, rules=(weights,))


def cached(family: Family, repository: str) -> Path:
    """The base as the hub's cache would have it."""
    snapshots = family.folder / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots"
    return Path(shutil.copytree(family.base.model, snapshots / COMMIT))


def test_a_folder_becomes_its_name_and_a_fingerprint(family: Family) -> None:
    named = portable(linear(m=family.math, inner=linear(a=family.lora)))
    assert isinstance(named, Merge)
    assert named.inputs["m"] == Source(model="./math", fingerprint=fingerprint(family.math))
    inner = named.inputs["inner"]
    assert isinstance(inner, Merge)
    assert inner.inputs["a"] == Source(
        model="./base", adapter="./lora", fingerprint=fingerprint(family.lora)
    )
    assert str(family.folder) not in dump_recipe(named)


def test_a_snapshot_of_the_hub_becomes_its_repository_and_commit(family: Family) -> None:
    folder = cached(family, "org/base")
    assert portable(Source(model=str(folder))) == Source(model="org/base", revision=COMMIT)
    with_adapter = portable(Source(model=str(folder), adapter=family.lora.adapter))
    assert with_adapter == Source(
        model="org/base",
        revision=COMMIT,
        adapter="./lora",
        fingerprint=fingerprint(family.lora),
    )


def test_a_repository_keeps_its_name(family: Family) -> None:
    """And its commit, which says what the weights are."""
    pinned = Source(model="org/base", revision=COMMIT)
    assert portable(pinned) == pinned


def test_folders_of_one_name_are_told_apart(family: Family, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(family.math.model, tmp_path / name / "final")
    inputs = {name: Source(model=str(tmp_path / name / "final")) for name in ("one", "two")}
    named = portable(linear(**inputs))
    assert isinstance(named, Merge)
    models = {
        name: source.model for name, source in named.inputs.items() if source.kind == "source"
    }
    assert models == {"one": "./one/final", "two": "./two/final"}


def test_statistics_lose_their_path_too(family: Family, tmp_path: Path) -> None:
    named = portable(write_statistics(tmp_path / "far" / "fisher", family.math))
    assert isinstance(named, Source)
    assert named.statistics == "./fisher"


def test_weights_that_have_gone_keep_the_fingerprint_that_is_on_record(tmp_path: Path) -> None:
    gone = Source(model=str(tmp_path / "gone"))
    assert portable(gone) == Source(model="./gone")
    known = {gone: "0123456789abcdef"}
    assert portable(gone, known) == Source(model="./gone", fingerprint="0123456789abcdef")


def test_a_recipe_from_elsewhere_is_read_where_its_folders_lie(
    family: Family, tmp_path: Path
) -> None:
    text = dump_recipe(portable(linear(m=family.math, a=family.lora)))
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        RecipePlan(read_recipe(path), "recipe.yaml").check()
    assert str(caught.value) == (
        f"recipe.yaml: {tmp_path}/there/math: no such model folder; a recipe from elsewhere names a"
        " folder by its last part: put it, or a link to it, beside the recipe's file, or write its"
        " path there"
    )
    for name in ("base", "math", "lora"):
        (tmp_path / "there" / name).symlink_to(family.folder / name)
    assert RecipePlan(read_recipe(path), "recipe.yaml").check() == []
    (tmp_path / "there" / "math").unlink()
    shutil.copytree(family.json.model, tmp_path / "there" / "math")
    with pytest.raises(SourceError, match=r"/math: has other weights \([0-9a-f]{16}\) than those"):
        RecipePlan(read_recipe(path), "recipe.yaml").check()


def test_a_fingerprint_is_a_part_of_a_source_only_where_there_is_one(family: Family) -> None:
    assert "fingerprint:" not in dump_recipe(family.base)
    assert digest(family.base) != digest(portable(family.base))


def test_what_is_a_path() -> None:
    assert all(map(is_local, ("/a/b", "./a", "~/a", "../a")))
    assert not is_local("org/name")
