"""What a study gives to the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.evaluators.base import Report
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.study.earlier import elites, public_sets, scored_genes
from evomerge.study.record import Study
from tests.study.conftest import GENES

Tried = tuple[float, float, float | None]
"""Weight, fitness, and by how much a constraint is missed; None: there is none."""


def made(folder: Path, report: Report, *tried: Tried) -> Study:
    """A study of recipes that differ in their weights, open for reading."""
    with Study.create(folder, name="first", job={}, genes=GENES) as study:
        for number, (weight, fitness, missed) in enumerate(tried):
            sources = {name: Source(model=str(folder / name)) for name in "ab"}
            merge = Merge(method="linear", inputs=sources, seed=round(100 * weight))
            genome = (weight, 0.5, "ties")
            study.ask(proposed_by="landmark", genome=genome, recipe=merge, label=f"m{number}")
            violations = () if missed is None else (missed,)
            study.tell(number, report, (fitness,), worker="w", violations=violations)
    return Study.open(folder, write=False)


def test_genes_have_their_own_units_and_the_best_is_first(folder: Path, report: Report) -> None:
    first = made(folder, report, (0.1, 0.3, None), (0.4, 0.9, None))
    genes, fitness = zip(*scored_genes(first), strict=True)
    assert fitness == (0.9, 0.3)
    assert [own["weight"] for own in genes] == pytest.approx([0.8, 0.2])


def test_what_breaks_a_constraint_draws_no_search_to_it(folder: Path, report: Report) -> None:
    tried: list[Tried] = [(0.1, 0.3, -0.1), (0.9, 0.99, 0.2), (0.4, 0.5, 0.0)]
    first = made(folder, report, *tried)
    assert [fitness for _, fitness in scored_genes(first)] == [0.5, 0.3]
    assert [merge.seed for merge in map(seeded, elites(first, 3).values())] == [40, 10, 90]


def seeded(recipe: object) -> Merge:
    assert isinstance(recipe, Merge)
    return recipe


def test_where_nothing_keeps_the_constraints_that_is_said(folder: Path, report: Report) -> None:
    first = made(folder, report, (0.1, 0.3, 0.1))
    with pytest.raises(UserError, match="no candidate keeps the constraints"):
        scored_genes(first)


def test_elites_are_different_recipes(folder: Path, report: Report) -> None:
    first = made(folder, report, (0.1, 0.3, None), (0.4, 0.9, None), (0.4, 0.8, None))
    best = elites(first, 2)
    assert list(best) == ["elite1", "elite2"]
    assert [merge.seed for merge in map(seeded, best.values())] == [40, 10]
    with pytest.raises(UserError, match="3 elites are wanted, and it has 2 scored recipes"):
        elites(first, 3)


def test_a_study_that_has_scored_nothing_or_has_several_objectives_is_refused(
    tmp_path: Path, report: Report
) -> None:
    with pytest.raises(UserError, match="no candidate has been scored yet"):
        scored_genes(made(tmp_path / "empty", report))
    with Study.create(tmp_path / "two", name="two", job={}, genes=GENES, objectives=["a", "b"]):
        pass
    with (
        Study.open(tmp_path / "two", write=False) as two,
        pytest.raises(UserError, match="the study has the objectives a, b"),
    ):
        scored_genes(two)


def test_what_it_was_searched_on_is_known_of_new_and_of_older_studies(folder: Path) -> None:
    for name, evaluator, said in (
        ("own", {}, ()),
        ("insists", {"allow_test_split": True}, ("the job allows it",)),
        ("mixed", {"of": {"a": {}, "b": {"allow_test_split": True}}}, ("the job allows it",)),
    ):
        job = {"evaluator": evaluator}
        with Study.create(folder / name, name=name, job=job, genes=GENES):
            pass
        with Study.open(folder / name, write=True) as study:
            assert public_sets(study) == said
            study.put("test_sets", ["gsm8k: search"])
            assert public_sets(study) == ("gsm8k: search",)
