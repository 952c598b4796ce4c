"""Schedules: the one that is built in, and what a job says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.config import SCHEDULES, ScheduleConfig, WholeConfig, read_job
from evomerge.errors import ConfigError
from evomerge.evaluators.base import Failure, Report
from evomerge.searching.plan import Plan
from evomerge.searching.schedule import Finished, Stage, Whole, remembers
from evomerge.study.record import Study
from tests.place import Place
from tests.searching.staged import Workers
from tests.sphere import search


def test_whole_is_one_stage_of_everything(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=1, executor=Workers()) as study:
        (candidate,) = study.candidates()
    whole = Whole(WholeConfig(), sizes={"sphere": 4}, seed=0)
    assert not remembers(whole)
    assert whole.next(candidate, None) == Stage(split="search", examples=None, deadline_s=None)
    assert whole.next(candidate, Report(split="search", tasks={})) == Finished()
    assert whole.next(candidate, Failure(cause="candidate", message="no")) == Finished()


def test_whole_leaves_no_trace_of_stages_on_record(tmp_path: Path) -> None:
    executor = Workers()
    search(tmp_path / "s", candidates=8, executor=executor).close()
    assert {examples for _, examples in executor.asked} == {None}
    with Study.open(tmp_path / "s", write=False) as study:
        assert [event.kind for event in study.events()] == ["ask", "tell"] * 8
    journal = (tmp_path / "s" / "journal.log").read_text()
    assert "stage." not in journal
    assert "paused" not in journal


def planned(place: Place) -> Plan:
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml")


def test_a_job_that_says_nothing_is_evaluated_whole(tmp_path: Path) -> None:
    plan = planned(Place(tmp_path))
    assert plan.job.schedule == WholeConfig()
    assert isinstance(plan.schedule, Whole)
    assert plan.sizes == {"sums": 1}


def test_a_mistyped_schedule_is_refused_with_the_nearest(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.job["schedule"] = "hole"
    with pytest.raises(ConfigError, match=r"schedule: unknown schedule 'hole'; did you mean 'wh"):
        planned(place)
    place.job["schedule"] = {"kind": "whole", "parts": 2}
    with pytest.raises(ConfigError, match=r"unknown key 'schedule\.parts'"):
        planned(place)
    place.job["schedule"] = {"least": 12}
    with pytest.raises(ConfigError, match=r"schedule: name the schedule as 'kind'; known: estim"):
        planned(place)


def test_the_registry_makes_what_settings_describe() -> None:
    config = SCHEDULES.config("whole")
    assert isinstance(config, ScheduleConfig)
    assert isinstance(SCHEDULES.make(config, sizes={}, seed=3), Whole)
    assert SCHEDULES.names()["whole"] == (WholeConfig.__doc__ or "").partition("\n")[0]
