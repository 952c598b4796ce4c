"""The baselines that follow from the winner and from the validation split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore, TokenCount
from evomerge.evaluators.objective import Objective
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe
from evomerge.search_spaces.baselines import PlainMerges
from evomerge.searching.final_comparison import Scorer
from evomerge.searching.rivals import STRENGTHS, Rivals, evaluations, find_rivals
from evomerge.study.record import Study

SOURCES: dict[str, Recipe] = {
    name: Source(model=f"./{name}") for name in ("base", "json", "math", "spell")
}
PARENTS = {name: SOURCES[name] for name in ("json", "math", "spell")}
PLAIN = PlainMerges(PARENTS, ("base", SOURCES["base"]))
BASELINES = {**PLAIN.baselines(), "halves": SOURCES["json"]}


def solved(recipe: Recipe) -> int:
    """Best at 0.5 over all parents, and at 1 over two of them; 0.4 and 0.5 are equal there."""
    assert isinstance(recipe, Merge)
    strength = float(recipe.options["lambda"])
    if len(recipe.inputs) == 4:
        return round(10 - 10 * abs(strength - 0.5))
    return {0.4: 3, 0.5: 3, 1.0: 9}.get(strength, 0)


class Worker:
    def __init__(self, asked: list[Task], solved: Callable[[Recipe], int]) -> None:
        self._asked, self._solved = asked, solved

    def perform(self, task: Task) -> Outcome:
        self._asked.append(task)
        number = self._solved(task.recipe)
        if number < 0:
            return Failure(cause="candidate", message="not finite")
        examples = (1.0,) * number + (0.0,) * (10 - number)
        score = TaskScore(metric="acc", value=number / 10, examples=examples)
        tokens = TokenCount(read=100, generated=7)
        return Report(split=task.split, tasks={"sums": score}, tokens=tokens)


class Bench:
    """Rivals of a winner in a study of its own."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Task] = []
        genes = [FloatGene(name="weight", low=0, high=1)]
        self.study = Study.create(folder, name="small", job={}, genes=genes)

    def rivals(
        self,
        carrying: list[str],
        solved: Callable[[Recipe], int] = solved,
        plain: PlainMerges | None = PLAIN,
        *,
        tune: bool = True,
    ) -> Rivals:
        workers = InProcess(partial(Worker, self.asked, solved))
        scorer = Scorer(self.study, workers, "e" * 64)
        return find_rivals(BASELINES, plain, carrying, scorer, Objective({"sums": 1.0}), tune=tune)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "study")
    with made.study:
        yield made


def test_the_strength_is_chosen_on_validation_over_all_and_over_those_that_carry(
    bench: Bench,
) -> None:
    rivals = bench.rivals(["json", "math"])
    assert list(rivals.recipes) == [
        "base",
        "json",
        "math",
        "spell",
        "uniform merge",
        "uniform merge (json+math)",
        "task arithmetic",
        "task arithmetic 0.5 (tuned)",
        "task arithmetic 1 (tuned, json+math)",
        "halves",
    ]
    assert {task.split for task in bench.asked} == {"validation"}
    assert len(bench.asked) == 2 * len(STRENGTHS)
    best = rivals.recipes["task arithmetic 1 (tuned, json+math)"]
    assert best == PLAIN.task_arithmetic(1.0, ["json", "math"])
    assert rivals.recipes["uniform merge (json+math)"] == PLAIN.uniform(["json", "math"])


def test_what_tuning_took_is_counted(bench: Bench) -> None:
    tuning = bench.rivals(["json", "math"]).tuning
    assert tuning is not None
    assert (tuning.evaluations, tuning.examples) == (12, 120)
    assert (tuning.tokens_read, tuning.tokens_generated) == (1200, 84)
    first, second = tuning.baselines
    assert {at.strength: at.fitness for at in first.tried} == pytest.approx(
        {0.2: 0.7, 0.3: 0.8, 0.4: 0.9, 0.5: 1.0, 0.7: 0.8, 1.0: 0.5}
    )
    assert second.label == "task arithmetic 1 (tuned, json+math)"


def test_it_is_not_done_twice(bench: Bench) -> None:
    before = bench.rivals(["json", "math"])
    count = len(bench.asked)
    assert bench.rivals(["json", "math"]) == before
    assert len(bench.asked) == count


@pytest.mark.parametrize("carrying", [["json", "math", "spell"], ["json"], []])
def test_all_of_them_or_one_of_them_is_no_group_of_its_own(
    bench: Bench, carrying: list[str]
) -> None:
    rivals = bench.rivals(carrying)
    assert [label for label in rivals.recipes if "(" in label] == ["task arithmetic 0.5 (tuned)"]
    assert len(bench.asked) == len(STRENGTHS)


def test_the_smaller_strength_wins_a_tie(bench: Bench) -> None:
    rivals = bench.rivals([], solved=lambda recipe: 4)
    assert "task arithmetic 0.2 (tuned)" in rivals.recipes


def test_without_tuning_nothing_is_evaluated(bench: Bench) -> None:
    rivals = bench.rivals(["json", "math"], tune=False)
    assert bench.asked == []
    assert rivals.tuning is None
    assert list(rivals.recipes) == [
        *list(BASELINES)[:5],
        "uniform merge (json+math)",
        "task arithmetic",
        "halves",
    ]


@pytest.mark.parametrize("tune", [True, False])
def test_what_they_take_at_most_is_known_before(bench: Bench, tune: bool) -> None:
    rivals = bench.rivals(["json", "math"], tune=tune)
    most = evaluations(BASELINES, PLAIN, tune=tune)
    assert most == (len(bench.asked), len(rivals.recipes))
    two = PlainMerges({name: SOURCES[name] for name in ("json", "math")}, PLAIN.base)
    assert evaluations(BASELINES, two) == (len(STRENGTHS), len(BASELINES) + 1)
    assert evaluations(BASELINES, PlainMerges(PARENTS)) == (0, len(BASELINES) + 1)
    assert evaluations(BASELINES, None) == (0, len(BASELINES))


def test_where_nothing_can_be_merged_the_baselines_stay(bench: Bench) -> None:
    assert bench.rivals(["json", "math"], plain=None) == Rivals(BASELINES)
    without_base = bench.rivals(["json", "math"], plain=PlainMerges(PARENTS))
    assert without_base.tuning is None
    assert "uniform merge (json+math)" in without_base.recipes
    assert bench.asked == []


def test_a_strength_that_fails_is_passed_over_and_all_of_them_are_a_row(bench: Bench) -> None:
    def fails(recipe: Recipe) -> int:
        assert isinstance(recipe, Merge)
        return -1 if len(recipe.inputs) == 3 or recipe.options["lambda"] == 0.5 else solved(recipe)

    rivals = bench.rivals(["json", "math"], solved=fails)
    assert "task arithmetic 0.4 (tuned)" in rivals.recipes
    assert rivals.failed == {
        "task arithmetic (tuned, json+math)": Failure(cause="candidate", message="not finite")
    }
    assert rivals.tuning is not None
    assert rivals.tuning.tokens_read is None
