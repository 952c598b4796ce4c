"""What the splits can show, before the search and once the warm starts are back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import read_job
from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.genome import Genome
from evomerge.searching.detecting import MEASURED, Detection, expected
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from evomerge.searching.under_test import Reports
from evomerge.study.record import Study
from tests.place import Place

SIZES = {"search": 8, "validation": 200, "holdout": 400}
SOLVED: dict[str, tuple[float, ...]] = {
    "parent:json": (1, 1, 1, 1, 0, 0, 0, 0),
    "parent:math": (1, 1, 1, 0, 1, 0, 0, 0),
    "uniform": (1, 1, 1, 1, 1, 1, 1, 1),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    for split, size in SIZES.items():
        rows = [
            {"question": f"{split} {n}?", "answer": str(n), "text": n // 4} for n in range(size)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (made.folder / "tasks" / f"{split}.jsonl").write_text(lines)
    made.job["space"] |= {"method": "task_arithmetic", "genes": {"weight": [0, 1]}}
    return made


def planned(place: Place, **keys: Any) -> Plan:
    place.job |= keys
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml")


def test_check_says_the_smallest_difference_of_each_split(place: Place) -> None:
    place.job["budget"] = {"candidates": 40}
    place.write()
    ended = place.run("check", "job.yaml")
    assert ended.returncode == 0, ended.stderr
    assert "validation: 0.077 (200 examples)" in ended.stdout
    assert "holdout: 0.054 (400 examples)" in ended.stdout
    assert "half of the answers are right" in " ".join(ended.stdout.split())
    found = json.loads(place.run("check", "job.yaml", "--json").stdout)["smallest_difference"]
    assert found["holdout"]["difference"] == pytest.approx(0.0543, abs=1e-4)
    assert found["validation"] == pytest.approx(
        {"difference": 0.0767, "examples": 200, "correlation": 0.7}, abs=1e-4
    )


def test_a_goal_below_it_is_warned_of(place: Place) -> None:
    warned = check_job(planned(place, select={"detect": 0.06}))
    (said,) = [said for said in warned if "detect" in said]
    assert said == (
        "select.detect: 0.06 is less than the 200 examples of the validation split can show"
        " (0.077); that takes 328"
    )
    assert [
        said for said in check_job(planned(place, select={"detect": 0.08})) if "det" in said
    ] == []


def test_examples_of_one_source_may_show_less(place: Place) -> None:
    place.evaluator["tasks"]["sums"]["clusters"] = "text"
    shows = expected(planned(place).job.evaluator)["holdout"]
    assert shows.to_text("holdout") == (
        "holdout: 0.054 (400 examples); up to 0.110 if those of one source are alike (100 sources)"
    )
    assert shows.to_json()["sources"] == 100


def test_nothing_is_said_of_scores_without_a_bound(place: Place) -> None:
    place.evaluator["tasks"]["sums"]["metric"] = None
    file = place.folder / "tasks" / "sums.yaml"
    file.write_text(file.read_text().replace("exact_match", "bleu"))
    assert expected(planned(place).job.evaluator) == {}


def test_one_example_shows_nothing(place: Place) -> None:
    place.evaluator["limits"] = {"holdout": 1}
    shows = expected(planned(place).job.evaluator)["holdout"]
    assert shows.to_text("holdout") == "holdout: none (1 example)"


class Begun:
    """A search whose warm starts come back one by one."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.said = plan, list[str]()
        self.study = Study.create(folder, name="small", job={}, genes=plan.space.genes)
        self.detection = self.again()

    def again(self) -> Detection:
        reports = Reports(self.study, self.plan.evaluator, self.plan.sizes)
        return Detection(self.study, self.plan.job, reports, len(SOLVED), self.said.append)

    def tried(
        self,
        label: str | None,
        genome: Genome,
        examples: tuple[float, ...],
        texts: tuple[str, ...] | None = None,
    ) -> None:
        number = self.study.ask(
            proposed_by="landmark" if label else "optimizer",
            genome=genome,
            recipe=self.plan.space.recipe(genome),
            label=label,
            proposal=None if label else 0,
        )
        score = TaskScore.averaged("exact_match", examples).model_copy(update={"clusters": texts})
        report = Report(split="search", tasks={"sums": score})
        digest = self.study.candidate(number).digest
        self.study.reports.save(digest, self.plan.evaluator, report)
        fitness = (report.tasks["sums"].value,)
        self.study.tell(number, report, fitness, worker="w")

    def hear(self) -> None:
        self.detection.told(self.study.candidates()[-1])


@pytest.fixture
def begun(place: Place, tmp_path: Path) -> Iterator[Begun]:
    budget = {"candidates": 40, "target": 1.01}
    made = Begun(planned(place, budget=budget), tmp_path / "study")
    with made.study:
        yield made


def test_the_warm_starts_measure_it(begun: Begun) -> None:
    for at, (label, examples) in enumerate(SOLVED.items()):
        assert begun.said == []
        begun.tried(label, (0.1 * at, 0.2), examples)
        begun.hear()
    # json and math differ in two of eight, so that the variance is 2/7, and correlate by 0.5.
    assert begun.said[0] == (
        "smallest difference, by the warm starts, whose scores correlate by 0.50: validation: 0.106"
        " (200 examples), holdout: 0.075 (400 examples)"
    )
    kept = begun.study.get(MEASURED)
    assert kept is not None
    assert kept["holdout"]["difference"] == pytest.approx(2.8016 * (2 / 7 / 400) ** 0.5, rel=1e-4)
    goal = "warning: budget.target: 1.01 is 0.010 above uniform, the best warm start, which is less"
    shown = (
        "the 200 examples of the validation split can show (0.106)",
        "the 400 examples of the holdout split can show (0.075)",
    )
    assert begun.said[1:] == [f"{goal} than {split}; that takes 22,426" for split in shown]
    begun.tried(None, (0.9, 0.9), SOLVED["parent:json"])
    begun.hear()
    begun.detection = begun.again()
    begun.hear()
    assert len(begun.said) == 3


def test_a_search_that_was_killed_before_that_is_told_when_it_goes_on(begun: Begun) -> None:
    for at, (label, examples) in enumerate(SOLVED.items()):
        begun.tried(label, (0.1 * at, 0.2), examples)
    begun.tried(None, (0.9, 0.9), SOLVED["parent:json"])
    begun.hear()
    assert begun.said[0].startswith("smallest difference, by the warm starts")


def test_a_split_with_more_examples_of_a_source_shows_less_than_they_promise(
    place: Place, tmp_path: Path
) -> None:
    """Two examples of a source on the search split, four on the holdout, all of one alike."""
    place.evaluator["tasks"]["sums"]["clusters"] = "text"
    begun = Begun(planned(place, budget={"candidates": 40}), tmp_path / "study")
    texts = tuple(f"{at // 2}" for at in range(8))
    parents = {"parent:json": (1, 1, 1, 1, 0, 0, 0, 0), "parent:math": (0, 0, 1, 1, 0, 0, 0, 0)}
    with begun.study:
        for at, (label, examples) in enumerate([*parents.items(), ("uniform", (0,) * 8)]):
            begun.tried(label, (0.1 * at, 0.2), tuple(map(float, examples)), texts)
        begun.hear()
        kept = begun.study.get(MEASURED)
    assert kept is not None
    # One source of four is apart, so that sources vary by 1/4; the holdout has a hundred of them.
    assert kept["holdout"]["difference"] == pytest.approx(2.8016 * (1 / 4 / 100) ** 0.5, rel=0.2)
