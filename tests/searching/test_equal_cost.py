"""Searches of the same cost beside a search: what they may spend, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.config import read_job
from evomerge.errors import ConfigError
from evomerge.evaluators.base import Failure, Outcome, Report, Split, TaskScore, TokenCount
from evomerge.evaluators.selection import join, part_of
from evomerge.recipe.genome import Genome
from evomerge.recipe.tree import Merge, Recipe
from evomerge.searching.equal_cost import FOLDER, search_cost
from evomerge.searching.finish import finish, finished
from evomerge.searching.opponents import LABELS
from evomerge.searching.plan import Plan
from evomerge.searching.progress import Scoring
from evomerge.study.examples import part_name
from evomerge.study.record import Study
from tests.place import Place


def solved(recipe: Recipe) -> int:
    """Of 40: more of json's weight and less of math's is better; sources solve ten."""
    if not isinstance(recipe, Merge):
        return 10
    inputs = recipe.rules[0].inputs
    json, math = (float(inputs.get(name, {}).get("weight", 0.0)) for name in ("json", "math"))
    return round(15 + 20 * json - 10 * math)


def report(number: int, split: Split) -> Report:
    number = min(max(number, 0), 40)
    examples = (1.0,) * number + (0.0,) * (40 - number)
    score = TaskScore(metric="exact_match", value=number / 40, examples=examples)
    return Report(split=split, tasks={"sums": score}, tokens=TokenCount(read=1000, generated=100))


class Worker:
    """Scores by `solved`; on the search split it fails, or is interrupted at its `at`-th task."""

    def __init__(self, asked: list[Task], at: int | None = None, fails: bool = False) -> None:
        self._asked, self._at, self._fails = asked, at, fails

    def perform(self, task: Task) -> Outcome:
        self._asked.append(task)
        searched = sum(asked.split == "search" for asked in self._asked)
        if task.split == "search" and searched == self._at:
            raise KeyboardInterrupt
        if task.split == "search" and self._fails:
            return Failure(cause="candidate", message="not finite")
        return report(solved(task.recipe), task.split)


class Over:
    """A study whose search has scored its landmarks and two other candidates."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        place = Place(folder / "place")
        place.job["space"] = {
            "kind": "parameter",
            "base": "base",
            "method": "task_arithmetic",
            "genes": {"weight": [0, 1]},
        }
        place.job |= {"optimizer": "random", "select": {"tune_baselines": False}} | keys
        place.write()
        self.job = read_job(place.folder / "job.yaml")
        self.plan = Plan(self.job, "job.yaml")
        self.path = folder / "study"
        self.asked: list[Task] = []
        with Study.create(self.path, name="small", job={}, genes=self.plan.space.genes) as study:
            known = [*self.plan.landmarks.values(), (0.75, 0.5), (0.25, 0.5)]
            for genome in known:
                self.tried(study, genome)

    def asked_in(self, study: Study, genome: Genome) -> int:
        return study.ask(
            proposed_by="landmark",
            genome=genome,
            recipe=self.plan.space.recipe(genome),
            label=f"known:{len(study.candidates())}",
        )

    def tried(self, study: Study, genome: Genome) -> None:
        number = self.asked_in(study, genome)
        made = report(solved(self.plan.space.recipe(genome)), "search")
        digest = study.candidate(number).digest
        study.reports.save(digest, self.plan.evaluator, made)
        study.tell(number, made, (made.tasks["sums"].value,), worker="w")

    def finish(self, tell: Callable[[Scoring], None] = lambda scoring: None, **how: Any) -> Any:
        plan = Plan(self.job, "job.yaml", self.plan.headers)
        with Study.open(self.path, write=True) as study:
            return finish(plan, study, InProcess(partial(Worker, self.asked, **how)), tell)


def test_each_has_a_row_a_cost_and_a_study_of_its_own(tmp_path: Path) -> None:
    over = Over(tmp_path, compare=["random", "soup", "task_arithmetic"])
    made = over.finish()
    rows = [row.model for row in made.tables[0].rows]
    assert rows[-3:] == list(LABELS.values())
    cost = {own.label: (own.evaluations, own.examples, own.tokens_read) for own in made.searches}
    whole = (5, 200, 5000)
    assert cost["evolved"] == cost[LABELS["random"]] == cost[LABELS["task_arithmetic"]] == whole
    assert cost[LABELS["soup"]][0] == 4, "of two parents there are no more"
    assert f"{LABELS['random']}: 5 models scored, 200 examples" in made.to_text()
    searched = [task for task in over.asked if task.split == "search"]
    assert len(searched) == 2 + 4 + 5, "landmarks of the same space are not scored again"
    with Study.open(over.path / FOLDER / "random", write=False) as study:
        assert study.get("winner")["label"].startswith("candidate")
        assert (study.name, study.job["budget"]["evaluations"]) == ("tiny-random", 2)
    asked = len(over.asked)
    assert over.finish() == made
    assert len(over.asked) == asked


def test_no_opponent_changes_what_the_search_comes_to(tmp_path: Path) -> None:
    alone, beside = Over(tmp_path / "a"), Over(tmp_path / "b", compare=["random"])
    plain, compared = alone.finish(), beside.finish()
    assert not (alone.path / FOLDER).exists()
    assert "searches" not in plain.to_json()
    assert plain.fitness == compared.fitness
    rows = compared.tables[0].rows
    assert [row.value for row in rows[:-1]] == [row.value for row in plain.tables[0].rows]


def test_an_interrupted_opponent_goes_on_where_it_was(tmp_path: Path) -> None:
    over, whole = Over(tmp_path / "a", compare=["random"]), Over(tmp_path / "b", compare=["random"])
    expected = whole.finish()
    with pytest.raises(KeyboardInterrupt):
        over.finish(at=2)
    with Study.open(over.path, write=False) as study:
        assert finished(study) is None
    assert over.finish() == expected
    searched = [task.id for task in over.asked if task.split == "search"]
    assert len(searched) == 3, "one of them twice"


def test_how_far_each_is_is_told(tmp_path: Path) -> None:
    told: list[Scoring] = []
    Over(tmp_path, compare=["random", "soup"]).finish(told.append)
    last = {(scoring.opponent, scoring.split): scoring for scoring in told}
    random, soup = LABELS["random"], LABELS["soup"]
    assert [name for name, split in last if split == "search"] == [random, soup]
    assert (last[random, "search"].done, last[random, "search"].total) == (2, 2)
    assert last[random, "search"].where == "random search (equal cost), search"
    assert last[random, "validation"].noun == "finalist"
    assert not last["", "holdout"].opponent, "the study's own"


def part(report: Report, tokens: int, *places: int) -> Report:
    """Of these examples, scored for so many tokens."""
    spent = TokenCount(read=tokens, generated=tokens // 10)
    return part_of(report, {"sums": places}).model_copy(update={"tokens": spent})


def test_what_a_recipe_took_is_counted_over_all_that_were_of_it(tmp_path: Path) -> None:
    """A candidate that was stopped after a few examples, and the same recipe asked again to the end
    of them: by its stages, and once more by the report that they make."""
    over, whole = Over(tmp_path), report(20, "search")
    parts = [part(whole, 300, *range(12)), part(whole, 500, *range(12, 40))]
    with Study.open(over.path, write=True) as study:
        cost = search_cost("evolved", study, over.plan.evaluator, over.plan.sizes)
        assert (cost.evaluations, cost.examples, cost.tokens_read) == (5, 200, 5000)
        genome = (0.125, 0.25)
        for stages in (1, 2, 0):
            number = over.asked_in(study, genome)
            digest = study.candidate(number).digest
            for place, made in enumerate(parts[:stages]):
                assert made.places is not None
                name = part_name(made.places)
                study.reports.save(digest, over.plan.evaluator, made, name)
                facts: dict[str, Any] = {"fitness": None, "worker": "w"}
                scored = (12, 40)[place]
                study.add_stage(number, part=name, split="search", scored=scored, **facts)
            if stages == 1:
                study.stop(number, parts[0], worker="w")
            else:
                joined = join(parts, {"sums": 40})
                study.reports.save(digest, over.plan.evaluator, joined)
                study.tell(number, joined, (0.5,), worker="w")
        cost = search_cost("evolved", study, over.plan.evaluator, over.plan.sizes)
    assert (cost.evaluations, cost.examples, cost.whole) == (6, 240, 40)
    assert (cost.tokens_read, cost.tokens_generated) == (5800, 580)


def test_an_opponent_that_finds_nothing_is_a_row_with_its_reason(tmp_path: Path) -> None:
    over = Over(tmp_path, compare=["task_arithmetic"])
    made = over.finish(fails=True)
    assert list(made.failed) == [LABELS["task_arithmetic"]]
    assert "not finite" in made.failed[LABELS["task_arithmetic"]].message
    assert made.tables[0].rows[0].model == "evolved"


@pytest.mark.parametrize(
    ("name", "space", "said"),
    [
        (
            "soup",
            {"kind": "dataflow", "inputs": ["json", "math"], "base": "base", "repetitions": 1},
            "compare: soup merges weights, and the space dataflow does not; take random",
        ),
        (
            "task_arithmetic",
            {"kind": "parameter", "method": "linear", "genes": {"weight": [0, 1]}},
            "compare: task_arithmetic needs a base, and the search space has none",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, name: str, space: dict[str, Any], said: str
) -> None:
    place = Place(tmp_path / "place")
    place.job |= {"space": space, "compare": [name], "optimizer": "random"}
    place.write()
    with pytest.raises(ConfigError, match=said):
        _ = Plan(read_job(place.folder / "job.yaml"), "job.yaml").opponents
