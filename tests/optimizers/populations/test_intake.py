"""What becomes a member, and what is refused without a trace."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.populations.intake import Intake
from evomerge.optimizers.populations.natural_niches import NaturalNichesConfig
from evomerge.optimizers.populations.vector_crossing import VectorCrossing
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import FloatGene

GENES = (FloatGene(name="x", low=0.0, high=1.0), FloatGene(name="y", low=0.0, high=1.0))


def intake() -> tuple[Intake[Any], Any, Proposals]:
    config = NaturalNichesConfig(archive=4)
    population, proposals = config.population(), Proposals(Problem(genes=GENES, seed=1))
    crossing = VectorCrossing(config, GENES)
    return Intake(population, crossing, proposals, {"examples"}), population, proposals


def asked(proposals: Proposals, x: float) -> Proposal:
    (proposal,) = proposals.ask([(x, 0.5)])
    return proposal


def test_known_points_are_members_with_numbers_below_zero() -> None:
    way, population, _ = intake()
    points = [Observation((x, 0.5), (1.0,), (1.0, 0.0)) for x in (0.1, 0.9)]
    assert [way.observed(point).id for point in points] == [-1, -2]
    assert [member.id for member in population.archive.members] == [-1, -2]


def test_a_result_gives_back_the_member_that_was_expected_and_a_failure_no_scores() -> None:
    way, population, proposals = intake()
    members = [way.expect(proposal, "body") for proposal in map(asked, [proposals] * 2, (0.1, 0.2))]
    good, failed = way.told([Result(0, (1.0,), (1.0, 0.0)), Result(1, None)])
    assert [good[0], failed[0]] == members
    assert failed[1] is None
    assert len(population) == 0, "told is not admitted"
    assert good[1] is not None
    way.admit(good[0], good[1], seed=False)
    assert [member.id for member in population.archive.members] == [0]


def test_what_is_refused_changes_nothing() -> None:
    way, population, proposals = intake()
    way.observed(Observation((0.1, 0.5), (1.0,), (1.0, 0.0)))
    way.expect(asked(proposals, 0.3), "body")
    with pytest.raises(ValueError, match="3 examples, before it was 2"):
        way.told([Result(0, (1.0,), (1.0, 0.0, 1.0))])
    with pytest.raises(ValueError, match="take a metric that is"):
        way.told([Result(0, (1.0,), (-1.0, 0.0))])
    assert len(population) == 1
    ((member, scores),) = way.told([Result(0, (1.0,), (1.0, 0.0))])
    assert (member.id, scores is not None) == (0, True)
