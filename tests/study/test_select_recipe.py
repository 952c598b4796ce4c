"""The winner of a study, or the candidate that is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evomerge.errors import UserError
from evomerge.evaluators.base import Report
from evomerge.recipe.digest import plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen, winner


def test_the_best_so_far_stands_for_the_winner_until_there_is_one(
    study: Study, ask: Callable[[int], int], recipe: Merge, report: Report
) -> None:
    with pytest.raises(UserError, match="no candidate has been scored yet"):
        winner(study)
    for proposal, fitness in enumerate((0.2, 0.7, 0.5)):
        study.tell(ask(proposal), report, (fitness,), worker="w")
    assert chosen(study)[0] == winner(study)[0] == "candidate 1"
    assert winner(study)[1].kind == "merge"
    study.put(
        "winner", {"label": "recommendation", "recipe": plain(Source(model="org/m")), "fitness": 1}
    )
    assert chosen(study) == ("recommendation", Source(model="org/m"))


def test_a_candidate_by_number(study: Study, ask: Callable[[int], int], recipe: Merge) -> None:
    ask(0)
    label, found = chosen(study, 0)
    assert (label, found.kind) == ("candidate 0", "merge")
    for number in (-1, 1):
        with pytest.raises(UserError, match=f"no candidate {number}; there are 1, from 0"):
            chosen(study, number)


def test_a_recipe_on_record_reads_paths_from_the_studys_folder(
    study: Study, ask: Callable[[int], int]
) -> None:
    _, found = chosen(study, ask(0))
    assert isinstance(found, Merge)
    assert found.inputs["a"] == Source(model=str(study.path / "a"))
