"""Which candidate wins, where there are several objectives or constraints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import read_job
from evomerge.errors import UserError
from evomerge.evaluators.base import Failure, Outcome, Report, Split, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.recipe.tree import Recipe
from evomerge.searching.final_comparison import Finals, Scorer
from evomerge.searching.plan import Plan
from evomerge.searching.winner import choose_winner
from evomerge.study.record import Study
from tests.place import Place


def report(split: Split, **values: float) -> Report:
    return Report(
        split=split,
        tasks={
            name: TaskScore(metric="m", value=value, examples=(value,))
            for name, value in values.items()
        },
    )


class Known(Scorer):
    """Knows every outcome on the validation split, and notes what it is asked."""

    def score(
        self, recipes: Mapping[str, Recipe], split: Split, *, noun: str = "model"
    ) -> dict[str, Outcome]:
        asked.append(list(recipes))
        return {label: outcomes[label] for label in recipes}


asked: list[list[str]] = []
outcomes: dict[str, Report | Failure] = {}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    place = Place(tmp_path / "place")
    place.job |= {"select": {"recommendation": False, "finalists": 2}}
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml")


def chosen(plan: Plan, folder: Path, config: dict[str, Any], *tried: Any) -> str:
    """Who wins among candidates of these fitnesses (and violations)."""
    asked.clear()
    objective = Objective({"json": 1.0, "math": 1.0}, ObjectiveConfig.model_validate(config))
    plan.__dict__["objective"] = objective
    genes = plan.space.genes
    with Study.create(folder, name="s", job={}, genes=genes, objectives=objective.names) as study:
        for number, (fitness, violations) in enumerate(tried):
            genome = (number / 10,) * len(genes)
            study.ask(
                proposed_by="landmark",
                genome=genome,
                recipe=plan.space.recipe(genome),
                label=f"known:{number}",
            )
            made = report("search", json=fitness[0])
            study.tell(number, made, fitness, worker="w", violations=violations)
        scorer = Known(study, None, "")  # type: ignore[arg-type]
        return choose_winner(plan, study, Finals(scorer, objective)).label


def test_finalists_are_those_of_the_front_that_are_best_altogether(
    plan: Plan, tmp_path: Path
) -> None:
    outcomes.clear()
    outcomes["candidate 1"] = report("validation", json=0.6, math=0.6)
    outcomes["candidate 3"] = report("validation", json=0.9, math=0.2)
    label = chosen(
        plan,
        tmp_path / "study",
        {"objectives": ["json", "math"]},
        ((0.0, 1.0), ()),
        ((0.7, 0.7), ()),
        ((0.6, 0.69), ()),
        ((1.0, 0.3), ()),
    )
    assert asked == [["candidate 1", "candidate 3"]]
    assert label == "candidate 1"


def test_one_that_breaks_a_constraint_on_the_validation_split_is_behind(
    plan: Plan, tmp_path: Path
) -> None:
    outcomes.clear()
    outcomes["candidate 0"] = report("validation", json=0.4, math=0.9)
    outcomes["candidate 2"] = report("validation", json=0.5, math=0.1)
    label = chosen(
        plan,
        tmp_path / "study",
        {"constraints": ["json >= 0.5"]},
        ((0.9,), (-0.1,)),
        ((0.95,), (0.1,)),
        ((0.6,), (-0.2,)),
    )
    assert asked == [["candidate 0", "candidate 2"]], "what broke it in the search is no finalist"
    assert label == "candidate 2"


def test_constraints_that_nothing_keeps_are_a_sentence_with_the_nearest(
    plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        chosen(
            plan,
            tmp_path / "study",
            {"constraints": ["json >= 0.5", "math >= 0.9"]},
            ((0.9,), (0.4, 0.1)),
            ((0.2,), (-0.2, 0.25)),
        )
    assert str(caught.value) == (
        "no candidate keeps the objective's constraints, so that there is no winner; the nearest is"
        " candidate 1 (math >= 0.9 is missed by 25.0%); loosen them in a new search, or"
        f" `evomerge export {tmp_path / 'study'} --candidate 1 --out MODEL` takes that one"
    )
    assert asked == []
