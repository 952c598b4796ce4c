"""Recipes as parents of a parameter space: the next round of a search."""

from __future__ import annotations

import pytest
import torch

import evomerge
from evomerge.config import read_job
from evomerge.errors import ConfigError, UserError
from evomerge.merging.weights import MergedWeights
from evomerge.models.headers import Headers
from evomerge.recipe.tree import Merge, Recipe, Rule
from evomerge.search_spaces.registry import SPACES
from evomerge.searching.job_check import check_job
from evomerge.searching.model_facts import FactsFromHeaders
from evomerge.searching.plan import Plan
from tests.families import Family, family
from tests.small_job import SmallJob, small_job

__all__ = ["family", "small_job"]


def sum_of(family: Family, json: float, math: float) -> Merge:
    return Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": family.base, "json": family.json, "math": family.math},
        rules=(Rule(inputs={"json": {"weight": json}, "math": {"weight": math}}),),
    )


def tensors(recipe: Recipe) -> dict[str, torch.Tensor]:
    return dict(MergedWeights(recipe, "float32").tensors())


def test_a_sum_of_elites_is_the_flat_sum(family: Family) -> None:
    """base + sum_i u_i (elite_i - base) = base + sum_j (sum_i u_i w_ij) (parent_j - base)."""
    first, second = (0.9, 0.2), (0.3, 0.7)
    config = SPACES.config(
        {
            "kind": "parameter",
            "base": "base",
            "parents": ["elite1", "elite2"],
            "recipes": {
                "elite1": sum_of(family, *first).model_dump(),
                "elite2": sum_of(family, *second).model_dump(),
            },
            "method": "task_arithmetic",
            "genes": {"weight": [0, 1]},
        }
    )
    space = SPACES.make(config, {"base": family.base}, FactsFromHeaders(Headers()))
    nested = space.recipe((0.6, 0.5))
    assert space.genome(nested) == (0.6, 0.5)
    flat = sum_of(family, *(0.6 * a + 0.5 * b for a, b in zip(first, second, strict=True)))
    made, wanted = tensors(nested), tensors(flat)
    assert made.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.allclose(made[name], tensor, atol=1e-6), name
    assert tensors(space.recipe(space.landmarks()["parent:elite1"])).keys() == made.keys()


@pytest.mark.slow
def test_the_best_of_a_study_are_the_parents_of_the_next_round(small_job: SmallJob) -> None:
    first = small_job.folder / "first"
    evomerge.search(small_job.path, first)
    small_job.write(name="round2", basis={"study": "first", "elites": 2})
    job = read_job(small_job.path)
    best = [one.recipe for one in evomerge.load(first).best(2)]
    space = job.model_dump(mode="json")["space"]
    assert space["parents"] == ["elite1", "elite2"]
    assert [recipe["rules"] for recipe in space["recipes"].values()] == [r["rules"] for r in best]
    found = evomerge.search(small_job.path, small_job.folder / "second")
    winner = found.recipe()
    assert isinstance(winner, Merge)
    assert found.candidates["origin"].tolist()[:3] == ["uniform", "parent:elite1", "parent:elite2"]
    assert evomerge.resume(small_job.folder / "second").recipe() == winner


@pytest.mark.slow
def test_cma_es_begins_where_another_study_found_its_best(small_job: SmallJob) -> None:
    evomerge.search(small_job.path, small_job.folder / "first")
    small_job.write(
        name="warm",
        optimizer={"kind": "cma_es", "sigma": 0.05},
        warm_start={"study": "first", "landmarks": False},
    )
    plan = Plan(read_job(small_job.path))
    assert len(plan.earlier) == len(evomerge.load(small_job.folder / "first").candidates)
    best = max(plan.earlier, key=lambda one: one.fitness).genome
    asked = [q.genome for q in plan.optimizer.ask(100)]
    nearer = sum(abs(float(x[0]) - float(best[0])) < 0.3 for x in asked)
    assert nearer >= len(asked) - 1
    found = evomerge.search(small_job.path, small_job.folder / "warm")
    assert evomerge.resume(small_job.folder / "warm").recipe() == found.recipe()

    small_job.write(optimizer="random")
    with pytest.raises(ConfigError, match="random learns nothing from another study"):
        check_job(Plan(read_job(small_job.path)))
    small_job.write(
        optimizer="cma_es", space={**small_job.written["space"], "groups": {"layers": 1}}
    )
    with pytest.raises(ConfigError, match=r"warm_start\.study: its candidates have no gene '"):
        check_job(Plan(read_job(small_job.path)))


def test_what_is_no_study_is_one_sentence(small_job: SmallJob) -> None:
    for keys, key in (
        ({"warm_start": {"study": "nowhere"}}, r"warm_start\.study: "),
        ({"warm_start": {}, "basis": {"study": "nowhere"}}, r"basis\.study: "),
    ):
        small_job.write(**keys)
        with pytest.raises(UserError, match=key) as caught:
            read_job(small_job.path)
        assert "nowhere" in str(caught.value)
    small_job.write(space={"kind": "dataflow"}, basis={"study": "nowhere"})
    with pytest.raises(ConfigError, match="basis: goes with a space of kind parameter"):
        read_job(small_job.path)
