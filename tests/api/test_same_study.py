"""Which changes of a job its study may be gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge import api
from evomerge.api.same_study import note_what_scores_depend_on
from evomerge.cluster.config import RayConfig
from evomerge.config import Budget, Select, WarmStart, read_job
from evomerge.engines.config import EngineConfig
from evomerge.errors import UserError
from evomerge.searching.plan import Plan
from evomerge.study.earlier import public_sets
from evomerge.study.record import Study


def test_a_job_may_say_where_its_evaluator_is_now_and_nothing_else(
    job: Path, tmp_path: Path
) -> None:
    began = read_job(job)
    shutil.copytree(tmp_path / "tasks", tmp_path / "tasks elsewhere")
    written = yaml.safe_load(job.read_text())
    written["evaluator"]["include_path"] = str(tmp_path / "tasks elsewhere")
    job.write_text(yaml.safe_dump(written))
    now = api.moved(began, read_job(job), tmp_path / "study")
    assert now.evaluator != began.evaluator
    assert now.evaluator.digest() == began.evaluator.digest()
    job.write_text(yaml.safe_dump(written | {"seed": 9}))
    with pytest.raises(UserError, match=r"^adapters: seed is not what the study began with"):
        api.moved(began, read_job(job), tmp_path / "study")


def test_a_study_goes_on_with_its_own_job_wherever_that_is_now(job: Path, tmp_path: Path) -> None:
    began = read_job(job)
    cluster = RayConfig(workers=3)
    now = began.model_copy(update={"cluster": cluster, "storage": "sqlite:////elsewhere.db"})
    assert api.moved(began, now, tmp_path) == began.model_copy(update={"cluster": cluster})


def test_of_several_changes_the_first_in_the_jobs_order_is_named(job: Path, tmp_path: Path) -> None:
    """Whatever the process hashes texts by."""
    began = read_job(job)
    changes: dict[str, Any] = {
        "select": Select(finalists=1),
        "budget": Budget(candidates=7),
        "seed": 8,
    }
    changes |= {"warm_start": WarmStart(landmarks=False), "engine": EngineConfig(kind="vllm")}
    with pytest.raises(UserError, match=r"^adapters: seed is not what the study began with"):
        api.moved(began, began.model_copy(update=changes), tmp_path)


def test_a_study_is_marked_by_what_it_takes_up_and_one_of_before_goes_on(
    job: Path, tmp_path: Path
) -> None:
    began = read_job(job)
    marked = began.model_copy(update={"earlier_test_sets": ("gsm8k: search",)})
    plan = Plan(marked)
    with Study.create(tmp_path / "s", name="s", job={}, genes=plan.space.genes) as study:
        note_what_scores_depend_on(study, plan)
        assert public_sets(study) == ("gsm8k: search",)
    assert api.moved(began, marked, tmp_path) == began
