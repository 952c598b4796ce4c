"""The end of a study: the winner, what it is compared with, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.config import read_job
from evomerge.evaluators.base import Failure, Outcome, Report, Split, TaskScore, TokenCount
from evomerge.recipe.genome import Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Stack
from evomerge.searching.finish import finish, finished
from evomerge.searching.plan import Plan
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from tests.place import Place

Solved = Callable[[Recipe, Split], int | Failure]
"""Recipe, split -> how many of 40 examples it solves, or why it cannot be scored."""


def report(number: int, split: Split) -> Report:
    examples = (1.0,) * number + (0.0,) * (40 - number)
    score = TaskScore(metric="exact_match", value=number / 40, examples=examples)
    return Report(split=split, tasks={"sums": score}, tokens=TokenCount(read=1000, generated=100))


class Worker:
    def __init__(self, asked: list[Task], solved: Solved) -> None:
        self._asked, self._solved = asked, solved

    def perform(self, task: Task) -> Outcome:
        self._asked.append(task)
        number = self._solved(task.recipe, task.split)
        return number if isinstance(number, Failure) else report(number, task.split)


class Ended:
    """A study whose candidates are its landmarks and whatever else was tried, and its end."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        place = Place(folder / "place")
        place.job["space"] = {
            "kind": "parameter",
            "base": "base",
            "method": "task_arithmetic",
            "genes": {"weight": [0, 1]},
        }
        place.job |= keys
        place.write()
        self.plan = Plan(read_job(place.folder / "job.yaml"), "job.yaml")
        self.study = Study.create(
            folder / "study", name="small", job={}, genes=self.plan.space.genes
        )
        self.asked: list[Task] = []

    def tried(self, genome: Genome, solved: int) -> None:
        """One candidate of the search, with what it scored there."""
        number = self.study.ask(
            proposed_by="landmark",
            genome=genome,
            recipe=self.plan.space.recipe(genome),
            label=f"known:{len(self.study.candidates())}",
        )
        self.study.tell(number, report(solved, "search"), (solved / 40,), worker="w")

    def finish(self, solved: Solved) -> Comparison:
        return finish(self.plan, self.study, InProcess(partial(Worker, self.asked, solved)))


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Ended]:
    made = Ended(tmp_path)
    with made.study:
        yield made


def by_weights(recipe: Recipe, split: Split) -> int:
    """More of json's weight is better; models that are no merge solve ten."""
    if not isinstance(recipe, Merge):
        return 10
    return round(10 + 20 * float(recipe.rules[0].inputs.get("json", {}).get("weight", 0.0)))


def test_the_comparison_has_all_rows_and_a_verdict_and_is_kept(ended: Ended) -> None:
    ended.tried((0.5, 0.5), solved=39)
    made = ended.finish(lambda recipe, split: 34 if "lambda" not in named(recipe) else 9)
    assert [row.model for row in made.tables[0].rows] == [
        "evolved",
        "base",
        "json",
        "math",
        "uniform merge",
        "task arithmetic",
        "task arithmetic 0.2 (tuned)",
    ]
    assert made.verdict is not None
    assert made.fitness is not None
    assert made.tuning is not None
    assert (made.fitness.search, made.fitness.validation, made.fitness.holdout) == (
        39 / 40,
        34 / 40,
        34 / 40,
    )
    assert (made.tuning.evaluations, made.tuning.tokens_read) == (6, 6000)
    assert made.verdict.sentence in made.to_text()
    assert finished(ended.study) == made
    before = len(ended.asked)
    assert ended.finish(by_weights) == made
    assert len(ended.asked) == before


def named(recipe: Recipe) -> dict[str, Any]:
    return dict(recipe.options) if isinstance(recipe, Merge) else {}


def test_the_holdout_is_seen_once_all_choices_are_made(ended: Ended) -> None:
    ended.tried((0.5, 0.5), solved=39)
    ended.tried((1.0, 0.5), solved=38)
    ended.finish(by_weights)
    splits = [task.split for task in ended.asked]
    assert splits == sorted(splits, key=["validation", "holdout"].index)


def test_a_winner_that_is_a_parent_is_recognised(ended: Ended) -> None:
    ended.tried((1.0, 0.0), solved=39)
    made = ended.finish(by_weights)
    assert made.same_as == "json"
    assert made.verdict is not None
    assert made.verdict.sentence.startswith("evolved is the parent json itself: no other finalist")
    assert not made.verdict.is_better


def test_a_baseline_that_fails_is_a_row_with_its_reason(ended: Ended) -> None:
    ended.tried((0.5, 0.5), solved=39)
    broken = Failure(cause="candidate", message="not finite")

    def fails(recipe: Recipe, split: Split) -> int | Failure:
        return broken if isinstance(recipe, Source) and recipe.model.endswith("math") else 20

    made = ended.finish(fails)
    assert made.failed == {"math": broken}
    assert ("math", "failed: not finite", "", "", "", "") in made.tables[0].to_rows()
    assert finished(ended.study) == made, "it would fail again"


def test_a_baseline_that_no_worker_could_score_is_tried_again(ended: Ended) -> None:
    ended.tried((0.5, 0.5), solved=39)
    lost = Failure(cause="infrastructure", message="the node was lost")

    def loses(recipe: Recipe, split: Split) -> int | Failure:
        return lost if isinstance(recipe, Source) and recipe.model.endswith("math") else 20

    assert ended.finish(loses).failed == {"math": lost}
    assert finished(ended.study) is None
    count = len(ended.asked)
    made = ended.finish(by_weights)
    assert made.failed == {}
    assert len(ended.asked) == count + 1


def test_tuning_can_be_switched_off(tmp_path: Path) -> None:
    made = Ended(tmp_path, select={"tune_baselines": False, "recommendation": False})
    with made.study:
        made.tried((0.5, 0.5), solved=39)
        comparison = made.finish(by_weights)
    assert comparison.tuning is None
    assert [task.split for task in made.asked].count("validation") == 1
    assert not any("tuned" in row.model for row in comparison.tables[0].rows)


def test_in_a_space_of_paths_a_path_that_is_an_inputs_own_is_that_input(tmp_path: Path) -> None:
    space = {"kind": "dataflow", "inputs": ["json", "math"], "base": "base", "repetitions": 1}
    made = Ended(tmp_path, space=space, optimizer="random")
    with made.study:
        made.tried(made.plan.landmarks["input:json"], solved=39)
        comparison = made.finish(lambda recipe, split: 20 if isinstance(recipe, Stack) else 10)
    assert comparison.same_as == "json"
    assert [row.model for row in comparison.tables[0].rows] == [
        "evolved",
        "base",
        "json",
        "math",
        "uniform merge",
        "task arithmetic",
        "task arithmetic 0.2 (tuned)",
        "halves, json below math",
        "halves, math below json",
    ]


def test_a_source_may_have_the_name_that_winners_have(tmp_path: Path) -> None:
    sources = {
        name: {"model": f"models/{model}"}
        for name, model in (("base", "base"), ("evolved", "json"), ("math", "math"))
    }
    made = Ended(tmp_path, sources=sources)
    with made.study:
        made.tried((0.5, 0.5), solved=39)
        comparison = made.finish(lambda recipe, split: 5 if isinstance(recipe, Source) else 30)
    rows = {row.model: row.value for row in comparison.tables[0].rows}
    assert comparison.winner == "evolved*"
    assert (rows["evolved*"], rows["evolved"]) == (0.75, 0.125)


class Priced(Worker):
    """Says what a model's layers cost."""

    def perform(self, task: Task) -> Outcome:
        made = super().perform(task)
        assert isinstance(made, Report)
        return made.model_copy(update={"costs": {"layers": 3.0}})


def test_what_the_objective_counts_beside_the_scores_is_left_out_and_named(tmp_path: Path) -> None:
    made = Ended(tmp_path, objective={"prices": {"layers": 0.05}})
    with made.study:
        made.tried((0.5, 0.5), solved=39)
        workers = InProcess(partial(Priced, [], lambda recipe, split: 20))
        comparison = finish(made.plan, made.study, workers)
    assert comparison.fitness is not None
    assert comparison.verdict is not None
    assert comparison.fitness.holdout == pytest.approx(0.5 - 0.15)
    assert "0.500 against 0.500" in comparison.verdict.sentence
    assert "; layers, which the objective counts too, left out." in comparison.verdict.sentence
