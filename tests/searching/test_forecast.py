"""What a job would cost, as `check` and the beginning of a search say it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.config import read_job
from evomerge.evaluators.base import Outcome, Report
from evomerge.searching.estimate import CPU_CORE, GPU, Span, Work, candidate_seconds
from evomerge.searching.forecast import cost, time
from evomerge.searching.plan import Plan
from evomerge.study.record import Study
from tests.place import Place
from tests.sphere import Sphere, Worker, search


class Timed(Worker):
    """Says that it took seven seconds."""

    def perform(self, task: Task) -> Outcome:
        outcome = super().perform(task)
        if not isinstance(outcome, Report):
            return outcome
        return outcome.model_copy(
            update={"seconds": {"merge_and_load": 2.0, "merge": 1.0, "evaluate": 5.0}}
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.job["budget"] = {"candidates": 40}
    return made


def planned(place: Place, **cluster: object) -> Plan:
    place.job["cluster"] = {"kind": "ray", **cluster}
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml")


def reckoned(plan: Plan, device: object, devices: float) -> Span:
    moved = plan.load.models.parents + plan.made.size
    assert device in (CPU_CORE, GPU)
    where = GPU if device is GPU else CPU_CORE
    return candidate_seconds(plan.made.parameters, moved, Work(1), where, devices)


def test_time_is_reckoned_from_parameters_examples_and_workers(place: Place) -> None:
    plan = planned(place, workers=2, cpus_per_worker=0.5)
    took = time(plan)
    assert took is not None
    assert took.candidate == reckoned(plan, CPU_CORE, 0.5)
    assert took.search is not None
    # Forty candidates, and the comparison: ten on one example of validation, seven of the holdout.
    assert took.search.high == pytest.approx(took.candidate.high * (40 + 10 + 7) / 2)
    assert took.workers == 2
    assert "1 example of 100 to 1,000 tokens" in took.basis
    assert took.basis.endswith("on 0.5 CPU a worker; a few candidates measure it better")
    assert took.sentence.endswith(" in all with 2 workers")


def test_on_gpus_of_a_cluster_whose_size_is_not_known(place: Place) -> None:
    plan = planned(place, address="127.0.0.1:1", gpus_per_worker=2)
    took = time(plan)
    assert took is not None
    assert took.candidate == reckoned(plan, GPU, 2)
    assert took.workers is None
    assert took.sentence.endswith(" in all divided by the workers")
    assert "2 GPU between an L4 and an H100" in took.basis
    assert cost(plan)["weights_gib_per_gpu"] >= 0


def test_a_budget_of_time_is_no_number_of_candidates(place: Place) -> None:
    place.job["budget"] = {"seconds": 60}
    took = time(planned(place, workers=1))
    assert took is not None
    assert took.search is None
    assert took.sentence.endswith(" a candidate")


@pytest.mark.parametrize("kind", ["halving", "racing", "estimated"])
def test_what_a_schedule_may_spare_is_said_to_be_the_most(place: Place, kind: str) -> None:
    whole = time(planned(place, workers=1))
    place.job["schedule"] = kind
    most = time(planned(place, workers=1))
    assert whole is not None
    assert most is not None
    assert (most.candidate, most.search) == (whole.candidate, whole.search)
    assert "at most" not in whole.sentence
    assert " a candidate that is scored whole, at most " in most.sentence
    assert most.sentence.endswith(f" in all with 1 worker: {kind} may spare examples")
    assert (whole.to_json()["at_most"], most.to_json()["at_most"]) == (False, True)
    place.job["budget"] = {"seconds": 60}
    unknown = time(planned(place, workers=1))
    assert unknown is not None
    assert unknown.sentence.endswith(" a candidate that is scored whole")


def test_what_a_study_has_measured_is_better(place: Place, tmp_path: Path) -> None:
    plan = planned(place, workers=1)
    assert time(plan, tmp_path / "none") == time(plan)
    folder = tmp_path / "earlier"
    with search(folder, executor=InProcess(partial(Timed, Sphere())), candidates=8) as study:
        scored = [own for own in study.candidates() if own.state == "done"]
        study.put("evaluator", "another")
    assert time(plan, folder) == time(plan), "the scores are of other examples"
    with Study.open(folder, write=True) as study:
        study.put("evaluator", plan.evaluator)
    took = time(plan, folder)
    assert took is not None
    assert took.candidate == Span(7.0, 7.0)
    assert took.basis == f"measured: {len(scored)} candidates of {folder}"


def test_check_and_search_say_it(place: Place) -> None:
    planned(place, workers=1)
    ended = place.run("check", "job.yaml")
    assert ended.returncode == 0, ended.stderr
    assert " a candidate, " in ended.stdout
    assert "on 1 CPU a worker" in ended.stdout
    data = json.loads(place.run("check", "job.yaml", "--json").stdout)
    low, high = data["time"]["seconds_per_candidate"]
    assert 0 < low < high
    assert data["time"]["workers"] == 1
