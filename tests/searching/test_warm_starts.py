"""What a job knows beforehand, as genomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from evomerge.errors import ConfigError, UserError
from evomerge.recipe.digest import plain
from evomerge.search_spaces.base import named
from evomerge.search_spaces.segments import SegmentsSpace
from evomerge.searching.job_check import check_job
from tests.place import Place
from tests.searching.plans import known_recipe, planned


def test_known_recipes_are_tried_first_whether_in_a_file_or_written_out(place: Place) -> None:
    (place.folder / "best.yaml").write_text(
        yaml.safe_dump(known_recipe(place, json=0.5, math=0.75))
    )
    place.job["warm_start"] = {
        "landmarks": False,
        "recipes": ["best.yaml", known_recipe(place, json=0.25, math=1.0)],
        "genomes": [{"json.weight": 1, "math.weight": 0, "json.density": 1, "math.density": 1}],
    }
    plan = planned(place)
    marks = {label: named(plan.space, g) for label, g in plan.landmarks.items()}
    assert list(marks) == ["genome:0", "recipe:0", "recipe:1"]
    assert marks["recipe:0"]["math.weight"] == pytest.approx(0.75)
    assert marks["recipe:1"]["json.weight"] == pytest.approx(0.25)
    job = plan.job
    assert type(job).model_validate_json(json.dumps(job.model_dump(mode="json"))) == job


def test_sums_are_tried_after_the_space_s_landmarks_where_they_are_asked_for(place: Place) -> None:
    plain = list(planned(place).landmarks)
    assert plain == ["uniform", "parent:json", "parent:math"]
    assert "sums" not in planned(place).job.model_dump(mode="json")["warm_start"]
    genome = {"json.weight": 1, "math.weight": 0, "json.density": 1, "math.density": 1}
    place.job["warm_start"] = {"sums": True, "genomes": [genome]}
    plan = planned(place)
    assert list(plan.landmarks) == [*plain, "sum:json+math", "genome:0"]
    values = named(plan.space, plan.landmarks["sum:json+math"])
    assert values == dict.fromkeys(genome, pytest.approx(1.0))
    job = plan.job
    assert type(job).model_validate_json(json.dumps(job.model_dump(mode="json"))) == job


@pytest.mark.parametrize(
    ("asked", "key"), [({"sums": True}, "sums"), ({"sparsified": 0.3}, "sparsified")]
)
def test_a_space_without_what_is_asked_for_is_refused(
    place: Place, asked: dict[str, Any], key: str
) -> None:
    place.job["space"] |= {"method": "linear", "genes": {"weight": [0, 1]}}
    place.job["warm_start"] = asked
    with pytest.raises(
        ConfigError, match=rf"warm_start\.{key}: the space has no .* or leave it out"
    ):
        check_job(planned(place))


def test_known_tables_and_their_recipes_are_tried_first(niches: Place) -> None:
    over = planned(niches).space
    assert isinstance(over, SegmentsSpace)
    genome = over.landmarks()["uniform"]
    niches.job["warm_start"] = {
        "landmarks": False,
        "genomes": [{"table": genome[0]}],
        "recipes": [plain(over.recipe(genome))],
    }
    plan = planned(niches)
    assert plan.landmarks == {"genome:0": genome, "recipe:0": genome}
    niches.job["warm_start"]["genomes"] = [{"table": "{}"}]
    with pytest.raises(UserError, match=r"warm_start.genomes.0: not a table"):
        _ = planned(niches).landmarks
