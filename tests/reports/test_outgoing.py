"""What goes out, file by file: no path of this machine, and a card whose example runs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

import evomerge
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Merge, Rule
from evomerge.recipe.yaml import dump_recipe, read_recipe
from evomerge.results import Results
from evomerge.study.record import Study
from evomerge.study.remarks import comment_on_test_sets
from evomerge.trust import VARIABLE
from tests.merging.loadable import Loadable
from tests.place import Place
from tests.small_job import SmallJob


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of one search for all tests, which only read it; the base has a card."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "1")
        job = SmallJob(tmp_path_factory.mktemp("place"))
        for name in ("base", "one", "three"):
            card = "---\nlicense: mit\nlanguage: en\n---\n# A parent\n"
            (job.folder / "models" / name / "README.md").write_text(card)
        path = job.folder / "models" / "base" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"_name_or_path": str(path)}))
        return evomerge.search(job.path, job.folder / "study")


def texts(folder: Path) -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in folder.iterdir()
        if path.suffix != ".safetensors"
    }


def without_paths(folder: Path, *places: Path) -> list[str]:
    """The files in which none of these places is named, nor a temporary folder."""
    for name, text in texts(folder).items():
        for place in (*places, Path("/tmp")):
            assert str(place) not in text, (name, place)
    return sorted(texts(folder))


def test_no_path_of_this_machine_goes_out(results: Results, tmp_path: Path) -> None:
    place = results.path.parent
    results.export(tmp_path / "model")
    assert {"README.md", "config.json", "recipe.yaml", "tokenizer_config.json"} <= set(
        without_paths(tmp_path / "model", place)
    )
    results.export(tmp_path / "adapter", format="adapter")
    assert "adapter_config.json" in without_paths(tmp_path / "adapter", place)
    (tmp_path / "files").mkdir()
    results.export(tmp_path / "files" / "recipe.yaml", format="recipe")
    results.export(tmp_path / "files" / "mergekit.yaml", format="mergekit")
    assert len(without_paths(tmp_path / "files", place)) == 2
    evomerge.merge(results.recipe(0), tmp_path / "merged")
    without_paths(tmp_path / "merged", place)
    evomerge.merge_adapter(results.recipe(0), tmp_path / "merged-adapter")
    without_paths(tmp_path / "merged-adapter", place)


def test_paths_stay_where_they_are_asked_for(results: Results, tmp_path: Path) -> None:
    results.export(tmp_path / "recipe.yaml", format="recipe", local_paths=True)
    assert read_recipe(tmp_path / "recipe.yaml") == results.recipe()
    results.export(tmp_path / "model", local_paths=True)
    assert read_recipe(tmp_path / "model" / "recipe.yaml") == results.recipe()
    results.export(tmp_path / "adapter", format="adapter", local_paths=True)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(results.path.parent / "models" / "base")


def test_the_card_of_a_winner(results: Results, tmp_path: Path) -> None:
    results.export(tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.license == "mit"
    assert card.data.language == ["en"]
    assert card.data.pipeline_tag == "text-generation"
    (result,) = card.data.eval_results
    assert results.comparison is not None
    row = results.comparison.tables[0].rows[0]
    assert result.metric_value == pytest.approx(row.value, abs=1e-6)
    assert result.dataset_split == "holdout"
    written = read_recipe(tmp_path / "model" / "recipe.yaml")
    recorded = digest(results.recipe())
    assert digest(written) != recorded
    assert f"(in the study: `{recorded}`)" in card.text


def test_the_example_of_a_card_runs(results: Results, tmp_path: Path) -> None:
    """In the folder, with the tokenizer's chat template; of an adapter beside its base."""
    results.export(tmp_path / "model")
    results.export(tmp_path / "adapter", format="adapter")
    (tmp_path / "adapter" / "base").symlink_to(results.path.parent / "models" / "base")
    for name in ("model", "adapter"):
        (code,) = re.findall(
            r"```python\n(.*?)```", (tmp_path / name / "README.md").read_text(), re.DOTALL
        )
        assert "apply_chat_template" in code
        with contextlib.chdir(tmp_path / name), contextlib.redirect_stdout(io.StringIO()) as said:
            exec(code, {})
        assert said.getvalue()


def test_a_recipe_that_takes_all_from_a_parent_says_so(results: Results, tmp_path: Path) -> None:
    """Candidate 1 is the landmark `parent:one`."""
    results.export(tmp_path / "model", candidate=1)
    text = (tmp_path / "model" / "README.md").read_text()
    assert "This is the parent `one`: the recipe takes all weights from it" in text
    assert "found by an evolutionary search" not in text
    recipe = results.recipe(1)
    assert isinstance(recipe, Merge)
    evomerge.merge(recipe, tmp_path / "merged")
    assert "This is the parent `one`" in (tmp_path / "merged" / "README.md").read_text()
    both = recipe.model_copy(
        update={"rules": (Rule(inputs={"one": {"weight": 0.5}, "three": {"weight": 0.5}}),)}
    )
    evomerge.merge(both, tmp_path / "both")
    assert (
        "A merge of existing models, built from a recipe with evomerge."
        in (tmp_path / "both" / "README.md").read_text()
    )


def test_an_exported_recipe_is_merged_again_where_its_folders_lie(
    results: Results, tmp_path: Path
) -> None:
    place = results.path.parent / "models"
    results.export(place / "best.yaml", format="recipe")
    results.export(tmp_path / "model")
    evomerge.merge(place / "best.yaml", tmp_path / "again")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "again")]
    assert weights[0] == weights[1]


def test_the_commands_keep_paths_only_if_told(tmp_path: Path) -> None:
    models = Loadable(tmp_path / "models")
    place = Place(tmp_path / "place")
    recipe = models.recipe("task_arithmetic", "one")
    (tmp_path / "place" / "r.yaml").write_text(dump_recipe(recipe))
    for out, more in (("plain", ()), ("kept", ("--local-paths",))):
        ended = place.run("merge", "r.yaml", "--out", out, *more)
        assert ended.returncode == 0, ended.stderr
        text = (tmp_path / "place" / out / "recipe.yaml").read_text()
        assert (str(tmp_path) in text) == (out == "kept")


def test_every_export_of_a_search_on_public_test_data_says_so(
    results: Results, tmp_path: Path
) -> None:
    results.export(tmp_path / "clean")
    assert "public test" not in (tmp_path / "clean" / "README.md").read_text()
    study = tmp_path / "study"
    shutil.copytree(results.path, study)
    with Study.open(study, write=True) as opened:
        assert opened.get("test_sets") == []
        opened.put("test_sets", ["gsm8k: search on all of 'test'"])
    marked = evomerge.load(study)
    marked.export(tmp_path / "model", candidate=0)
    marked.export(tmp_path / "adapter", format="adapter", candidate=0)
    for folder in ("model", "adapter"):
        assert "public test data (gsm8k" in (tmp_path / folder / "README.md").read_text()
        text = (tmp_path / folder / "recipe.yaml").read_text()
        assert text.startswith("# found on public test data (gsm8k")
    for format in ("recipe", "mergekit"):
        marked.export(tmp_path / f"{format}.yaml", format=format, candidate=0)
        text = (tmp_path / f"{format}.yaml").read_text()
        assert text.startswith("# found on public test data (gsm8k")
        assert isinstance(yaml.safe_load(text), dict)


def test_a_recipe_file_that_says_so_is_merged_into_folders_that_say_so(
    results: Results, tmp_path: Path
) -> None:
    mark = comment_on_test_sets(["x: search"])
    written = f"# made by hand\n{mark}{dump_recipe(results.recipe(0))}"
    (tmp_path / "r.yaml").write_text(written)
    evomerge.merge(tmp_path / "r.yaml", tmp_path / "model")
    evomerge.merge_adapter(tmp_path / "r.yaml", tmp_path / "adapter")
    for folder in ("model", "adapter"):
        card = (tmp_path / folder / "README.md").read_text()
        assert "Found on public test data (x: search)" in card
        text = (tmp_path / folder / "recipe.yaml").read_text()
        assert text.startswith("# found on public test data (x: search): its scores")
