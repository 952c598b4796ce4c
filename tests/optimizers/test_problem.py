"""What an optimizer is told before a search begins."""

from __future__ import annotations

import pytest

from evomerge.conformance.optimizers import FLOATS, MIXED
from evomerge.errors import ConfigError
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import CoefficientsGene

TABLE = CoefficientsGene(name="table", seeds=("a", "b"))


def test_numbers_and_choices_are_scalars() -> None:
    assert Problem(genes=MIXED, seed=0).scalars("random") == MIXED


@pytest.mark.parametrize(
    "kind", ["cma_es", "cma_niches", "genetic", "greedy_soup", "nevergrad", "optuna", "random"]
)
def test_who_cannot_cross_members_refuses_tables(kind: str) -> None:
    config = configure({"kind": kind}, origin="job")
    with pytest.raises(ConfigError, match=rf"{kind} moves numbers and choices, .* natural_niches"):
        make(config, (TABLE,), seed=0)
    with pytest.raises(ConfigError, match=rf"{kind} moves numbers and choices"):
        make(config, (*FLOATS, TABLE), seed=0)
