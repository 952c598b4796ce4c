"""Steady-state search: the order of seeds, merges and children, and what arrival order does."""

from __future__ import annotations

import random
from typing import Any

import pytest

from evomerge.conformance.optimizers import FLOATS, fitness_of, scores_of
from evomerge.optimizers.base import Observation, Optimizer, Proposal, Result, needs_examples
from evomerge.optimizers.registry import configure, make

NICHES: dict[str, Any] = {"kind": "natural_niches", "mutation": 0.05, "archive": 6}


def optimizer(**options: Any) -> Any:
    return make(configure({**NICHES, **options}, origin="test"), FLOATS, seed=3, budget=60)


def result(proposal: Proposal) -> Result:
    return Result(proposal.id, fitness_of(proposal.genome), *scores_of(proposal.genome))


def observe(made: Optimizer, *firsts: float) -> None:
    for x in firsts:
        genome = (x, *(0.5,) * 5)
        made.observe(Observation(genome, fitness_of(genome), *scores_of(genome)))


def test_two_founders_are_enough_to_breed() -> None:
    made = optimizer()
    founders = made.ask(5)
    assert len(founders) == 2, "it waits for both"
    assert all(one.parentage.parents == () and one.parentage.version == 0 for one in founders)
    made.tell([result(founders[1])])
    assert made.ask(1) == []
    made.tell([result(founders[0])])
    (child,) = made.ask(1)
    assert set(child.parentage.parents) == {0, 1}
    assert child.parentage.version == 2


def test_observations_are_seeds() -> None:
    made = optimizer()
    observe(made, 0.1, 0.9)
    children = made.ask(4)
    assert {parent for one in children for parent in one.parentage.parents} == {-1, -2}


def test_a_warm_up_merges_seeds_before_anything_is_known() -> None:
    made = optimizer(warm_up=7)
    founders, merges = made.ask(2), made.ask(20)
    assert len(merges) == 7
    assert all(set(one.parentage.parents) == {0, 1} for one in merges)
    made.tell([result(one) for one in [*merges, *founders]])
    assert made.ask(3)[0].parentage.version > 0


def test_parents_come_from_the_archive_as_it_is() -> None:
    """A child in flight does not keep the next from being bred, and is bred of what was told."""
    made = optimizer()
    observe(made, 0.1, 0.9)
    first = made.ask(3)
    assert {one.parentage.version for one in first} == {2}
    made.tell([result(first[2])])
    (later,) = made.ask(1)
    assert later.parentage.version == 3
    assert set(later.parentage.parents) <= {-1, -2, 2}


def drive(made: Optimizer, seed: int, count: int = 80) -> list[Proposal]:
    """Four workers whose answers come in an order that the seed gives; some fail."""
    rng, asked, open_ = random.Random(seed), list[Proposal](), list[Proposal]()
    while len(asked) < count:
        while len(open_) < 4 and (batch := made.ask(1)):
            asked += batch
            open_ += batch
        one = open_.pop(rng.randrange(len(open_)))
        made.tell([Result(one.id, None) if one.id % 9 == 8 else result(one)])
    return asked


@pytest.mark.parametrize("options", [{}, {"kind": "genetic_merge"}, {"attraction": False}])
def test_the_same_order_of_arrival_is_the_same_archive(options: dict[str, Any]) -> None:
    archives = []
    for seed in (1, 1, 2):
        made = optimizer(**options)
        asked = drive(made, seed)
        members = [(one.id, one.body.tolist()) for one in made.archive.members]
        archives.append((asked, members, made.archive.scores.tolist(), made.archive.version))
    assert archives[0] == archives[1]
    assert archives[0] != archives[2], "another order is another archive"


def test_failures_are_no_parents() -> None:
    made = optimizer()
    asked = drive(made, 4)
    failed = {one.id for one in asked if one.id % 9 == 8}
    assert not failed & {
        parent for one in asked if one.parentage for parent in one.parentage.parents
    }
    assert not failed & {one.id for one in made.archive.members}


def test_a_founder_that_failed_is_not_merged() -> None:
    made = optimizer(warm_up=9)
    founders = made.ask(2)
    made.tell([Result(founders[0].id, None), result(founders[1])])
    (another,) = made.ask(1)
    assert another.parentage.parents == ()
    assert {parent for one in made.ask(9) for parent in one.parentage.parents} == {1, 2}


def test_all_answers_have_the_same_examples() -> None:
    made = optimizer()
    one, other = made.ask(2)
    made.tell([Result(one.id, (0.0,), (1.0, 0.0))])
    with pytest.raises(ValueError, match="proposal 1 has scores of 3 examples, before it was 2"):
        made.tell([Result(other.id, (0.0,), (1.0, 0.0, 1.0))])
    made.tell([Result(other.id, (0.0,), (0.0, 1.0))])
    assert len(made.archive) == 2


def test_who_needs_scores_says_so() -> None:
    assert needs_examples(optimizer())
    assert needs_examples(optimizer(kind="genetic_merge"))
    assert not needs_examples(make(configure({"kind": "random"}, origin="t"), FLOATS, seed=0))
    merges = make(configure({"kind": "random_merge"}, origin="t"), FLOATS, seed=0)
    assert not needs_examples(merges)
    merges.tell([Result(one.id, (0.0,)) for one in merges.ask(10)])


def test_negative_scores_need_a_shift() -> None:
    made = optimizer()
    (first, _) = made.ask(2)
    with pytest.raises(ValueError, match=r"score is -0\.5, .* set shift: true"):
        made.tell([Result(first.id, (0.0,), (0.5, -0.5))])
    made.tell([Result(first.id, (0.0,), (0.5, 0.5))])
    shifted = optimizer(shift=True)
    founders = shifted.ask(2)
    shifted.tell([Result(one.id, (0.0,), (0.5, -0.5)) for one in founders])
    assert shifted.ask(1)


@pytest.mark.parametrize("option", [{"attraction": False}, {"split": "none"}, {"alpha": 0.0}])
def test_each_ablation_changes_what_is_asked(option: dict[str, Any]) -> None:
    assert drive(optimizer(**option), 1) != drive(optimizer(), 1)
