"""What a folder of importance says of groups, and how a job reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import ConfigError
from evomerge.models.importance import FILE, Importance, PartImportance, read_importance
from evomerge.recipe.selector import Selector


def part(layer: int | None, component: Any, importance: float, matrices: int = 1) -> PartImportance:
    return PartImportance(
        tower="decoder",
        layer=layer,
        component=component,
        importance=importance,
        matrices=matrices,
    )


MEASURED = Importance(
    folder="f",
    parts=(
        part(None, "embedding", 0.1),
        part(0, "attention", 0.8, 4),
        part(0, "mlp", 0.2, 3),
        part(0, "norm", 0.9, 0),
        part(1, "attention", 0.4, 4),
    ),
)


def test_a_group_has_the_mean_of_its_parts_matrices() -> None:
    shares = MEASURED.of_groups([[Selector(layers=(0, 1))], [Selector()]])
    assert shares == pytest.approx([(4 * 0.8 + 3 * 0.2) / 7, (0.1 + 4 * 0.4) / 5])


def test_a_part_belongs_to_the_first_group_alone() -> None:
    groups = [[Selector(component="attention")], [Selector(layers=(0, 1))]]
    assert (MEASURED.of_groups(groups) or [])[1] == pytest.approx(0.2)


def test_norms_count_where_there_is_nothing_else() -> None:
    assert MEASURED.of_groups([[Selector(component="norm")]]) == [0.9]


def test_a_group_without_parts_has_the_mean_of_the_others() -> None:
    groups = [[Selector(component="norm")], [Selector(component="head")]]
    assert MEASURED.of_groups(groups) == [0.9, 0.9]
    assert MEASURED.of_groups([[Selector(layers=(7, 9))]]) is None


def test_a_job_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "measured"
    folder.mkdir()
    parts = [one.model_dump() for one in MEASURED.parts]
    written = {"format": 1, "models": {"math": "m"}, "measured": {}, "parts": parts}
    (folder / FILE).write_text(json.dumps(written))
    for named in ("measured", {"folder": "measured"}, str(folder)):
        data = read_importance(named, folder=tmp_path, origin="job.yaml: importance")
        read = Importance.model_validate(data)
        assert read == MEASURED.model_copy(update={"folder": str(folder)})
    folder.joinpath(FILE).unlink()
    again = read_importance(read.model_dump(), folder=tmp_path, origin="study: importance")
    assert Importance.model_validate(again) == read, "a study keeps what was read"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no importance.json in "),
        ("{}", "importance.json: the key 'models' is missing"),
        ('{"format": 1, "models": {}, "measured": {}, "parts": []}', "parts"),
    ],
)
def test_what_is_no_such_folder_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_importance(str(tmp_path), folder=tmp_path, origin="job.yaml: importance")
    assert words in str(caught.value)
