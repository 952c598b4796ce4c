"""The archive by the record is the optimizer's own."""

from __future__ import annotations

import random
from typing import Any

import pytest

from evomerge.conformance.optimizers import FLOATS, fitness_of, scores_of
from evomerge.optimizers.base import Fitness, Observation, Proposal, Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import Genome
from evomerge.reports.archive import archive
from evomerge.study.candidate import Candidate, Proposer

CONFIGS: list[dict[str, Any]] = [
    {"kind": "natural_niches", "mutation": 0.05, "archive": 6},
    {"kind": "natural_niches", "mutation": 0.05, "archive": 6, "alpha": 0.5, "warm_up": 9},
    {"kind": "natural_niches", "mutation": 0.05, "archive": 6, "shift": True},
    {"kind": "cma_niches", "archive": 6},
    {"kind": "genetic_merge", "mutation": 0.05, "archive": 6},
    {"kind": "map_elites", "mutation": 0.2, "bins": 4},
    {"kind": "cycle_qd", "bins": 5},
]


def observed(candidate: Candidate) -> Observation | None:
    if candidate.fitness is None:
        return None
    return Observation(candidate.genome, candidate.fitness, *scores_of(candidate.genome))


class Search:
    """A search that is recorded in plain candidates: four workers whose answers come in any order,
    every ninth a failure."""

    def __init__(self, config: dict[str, Any], landmarks: int, seed: int) -> None:
        self.optimizer: Any = make(configure(config, origin="t"), FLOATS, seed=3)
        self.candidates: list[Candidate] = []
        self._next, self._rng = 0, random.Random(seed)
        firsts = [self.ask("landmark", (0.1 + 0.2 * k, *(0.5,) * 5)) for k in range(landmarks)]
        for one in self._rng.sample(firsts, landmarks):
            self.tell(one, None if one == 1 else fitness_of(self.candidates[one].genome))
        for one in firsts:
            if observation := observed(self.candidates[one]):
                self.optimizer.observe(observation)
        under_way: dict[int, Proposal] = {}
        while len(self.candidates) < 70:
            while len(under_way) < 4 and (batch := self.optimizer.ask(1)):
                under_way[self.ask("optimizer", batch[0].genome, batch[0])] = batch[0]
            number = self._rng.choice(sorted(under_way))
            proposal = under_way.pop(number)
            fitness = None if proposal.id % 9 == 8 else fitness_of(proposal.genome)
            self.tell(number, fitness)
            self.optimizer.tell([Result(proposal.id, fitness, *scores_of(proposal.genome))])

    def ask(self, proposed_by: Proposer, genome: Genome, proposal: Proposal | None = None) -> int:
        number = len(self.candidates)
        one = Candidate(
            number=number,
            proposed_by=proposed_by,
            label=None,
            proposal=None if proposal is None else proposal.id,
            genome=genome,
            values={gene.name: value for gene, value in zip(FLOATS, genome, strict=True)},
            recipe={},
            digest=f"{number}",
            asked=self._next,
            asked_s=0.0,
            parentage=None if proposal is None else proposal.parentage,
        )
        self.candidates.append(one)
        self._next += 1
        return number

    def tell(self, number: int, fitness: Fitness | None) -> None:
        facts = vars(self.candidates[number]) | {"told": self._next, "fitness": fitness}
        self.candidates[number] = Candidate(**facts)
        self._next += 1


@pytest.mark.parametrize("landmarks", [0, 3])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_it_is_the_optimizers_own(config: dict[str, Any], landmarks: int) -> None:
    for seed in range(3):
        search = Search(config, landmarks, seed)
        made: Any = configure(config, origin="t")
        members = archive(search.candidates, made, observed)
        kept = getattr(search.optimizer, "archive", None) or search.optimizer.elites
        ids = {-1 - k: (0, 2)[k] for k in range(2)} if landmarks else {}
        ids |= {one.proposal: one.number for one in search.candidates if one.proposal is not None}
        expected = {ids[member.id] for member in kept.members}
        assert {one.candidate.number for one in members} == expected
        assert len(members) == len(kept.members)
        for one in members:
            assert one.examples == pytest.approx(scores_of(one.candidate.genome)[0])
        if hasattr(search.optimizer, "archive"):
            own = sorted(search.optimizer.archive.fitness().tolist(), reverse=True)
        else:
            own = sorted(
                (one.candidate.fitness[0] for one in members if one.candidate.fitness), reverse=True
            )
        assert [one.fitness for one in members] == own


def test_of_equals_the_older_stands_first() -> None:
    config: Any = configure({**CONFIGS[0], "archive": 50}, origin="t")
    search = Search(CONFIGS[0], 3, 0)
    members = archive(
        search.candidates, config, lambda one: Observation(one.genome, (1.0,), (1.0, 1.0), None)
    )
    numbers = [one.candidate.number for one in members]
    assert len({one.fitness for one in members}) == 1
    assert numbers == sorted(numbers)
    told = [one for one in search.candidates if one.fitness is not None]
    arrived = [one.number for one in sorted(told, key=lambda one: one.told or 0)]
    assert arrived != sorted(arrived), "or the test says nothing"


def test_nothing_told_is_an_empty_archive() -> None:
    for config in CONFIGS:
        made: Any = configure(config, origin="t")
        assert archive([], made, observed) == []
