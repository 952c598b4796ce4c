"""Greedy soup by the paper's recipe, step by step."""

from __future__ import annotations

import pytest

from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.greedy_soup import GreedySoup, GreedySoupConfig
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome

NAMES = "abcd"


def soup(*genes: Gene, seed: int = 0) -> GreedySoup:
    given = genes or tuple(FloatGene(name=f"{n}.weight", low=0.0, high=1.0) for n in NAMES)
    return GreedySoup(GreedySoupConfig(), Problem(genes=given, seed=seed))


def members(genome: Genome) -> str:
    return "".join(name for name, weight in zip(NAMES, genome, strict=True) if weight == 1.0)


def result(optimizer: GreedySoup, proposals: list[Proposal], **scores: float | None) -> None:
    found = [(proposal.id, scores[members(proposal.genome)]) for proposal in proposals]
    optimizer.tell([Result(id, None if one is None else (one,)) for id, one in found])


def step(optimizer: GreedySoup, score: float | None) -> str:
    (proposal,) = optimizer.ask(5)
    result(optimizer, [proposal], **{members(proposal.genome): score})
    return members(proposal.genome)


def test_each_alone_then_best_first_and_what_helps_stays() -> None:
    optimizer = soup()
    first = optimizer.ask(10)
    assert [members(one.genome) for one in first] == ["a", "b", "c", "d"]
    assert optimizer.ask(1) == []
    result(optimizer, first, a=0.1, b=0.4, c=0.3, d=0.2)
    assert step(optimizer, 0.5) == "bc"  # better: c stays
    assert step(optimizer, 0.5) == "bcd"  # no better: d goes
    assert step(optimizer, 0.6) == "abc"
    after = {step(optimizer, 0.0) for _ in range(4)}  # a pass that puts in or takes out
    assert after == {"bc", "ac", "ab", "abcd"}


def test_equal_scores_are_taken_in_order_and_failures_left_out() -> None:
    optimizer = soup()
    result(optimizer, optimizer.ask(4), a=None, b=0.2, c=0.2, d=0.1)
    assert [step(optimizer, 0.0) for _ in range(2)] == ["bc", "bd"]


def test_if_all_fail_alone_it_goes_on() -> None:
    optimizer = soup()
    result(optimizer, optimizer.ask(4), a=None, b=None, c=None, d=None)
    assert len(step(optimizer, 0.5)) == 1


def test_what_is_known_is_not_asked() -> None:
    optimizer = soup()
    for i, name in enumerate(NAMES[:3]):
        genome = tuple(float(i == j) for j in range(4))
        assert members(genome) == name
        optimizer.observe(Observation(genome, (0.1 * i,)))
    (proposal,) = optimizer.ask(10)
    assert members(proposal.genome) == "d"
    result(optimizer, [proposal], d=0.15)
    assert step(optimizer, 0.0) == "cd"


def test_the_last_one_is_not_taken_out() -> None:
    optimizer = soup(FloatGene(name="x", low=0.0, high=1.0))
    for _ in range(5):
        (proposal,) = optimizer.ask(2)
        assert proposal.genome == (1.0,)
        optimizer.tell([Result(proposal.id, (0.5,))])


@pytest.mark.parametrize(
    "gene",
    [
        FloatGene(name="x", low=-1.0, high=1.0),
        FloatGene(name="x", low=0.1, high=1.0, log=True),
        ChoiceGene(name="x", choices=("a", "b")),
    ],
)
def test_genes_that_cannot_leave_an_input_out_are_refused(gene: Gene) -> None:
    with pytest.raises(ConfigError, match="the gene 'x' is none"):
        soup(gene)
