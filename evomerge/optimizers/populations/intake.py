"""How results and known points become members: read, checked together, then let in one by one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.populations.crossing import Crossing
from evomerge.optimizers.populations.population import Member, MemberScores, Population
from evomerge.optimizers.populations.score_checks import Kind, ScoreChecks
from evomerge.optimizers.proposals import Proposals

__all__ = ["Intake"]

M = TypeVar("M")


class Intake(Generic[M]):
    """The way into a population. What is refused changes nothing."""

    def __init__(
        self,
        population: Population[M],
        crossing: Crossing[M],
        proposals: Proposals,
        needs: Collection[Kind],
    ) -> None:
        """`needs`: the scores that no member may lack."""
        self._population, self._crossing, self._proposals = population, crossing, proposals
        self._score_checks = ScoreChecks(needs)
        self._observed = 0
        self._asked: dict[int, Member[M]] = {}
        """Members whose results are not told yet."""

    def expect(self, proposal: Proposal, body: M) -> Member[M]:
        """The member that a proposal becomes once its result is told."""
        self._asked[proposal.id] = Member(proposal.id, body)
        return self._asked[proposal.id]

    def told(self, results: Sequence[Result]) -> list[tuple[Member[M], MemberScores | None]]:
        """The members of some results, none of them let in yet, with None for a failure's scores.

        Raises:
            ValueError: a result is of no open proposal, or its scores cannot be compared.
        """
        scores = self._score_checks.read([(f"proposal {result.id}", result) for result in results])
        for member_scores in scores:
            if member_scores is not None:
                self._population.check(member_scores)
        self._proposals.close(results)
        return [
            (self._asked.pop(result.id), member_scores)
            for result, member_scores in zip(results, scores, strict=True)
        ]

    def observed(self, observation: Observation) -> Member[M]:
        """A known point, let in as one that the search began with.

        Raises:
            ValueError: it is no point of the space, or its scores cannot be compared.
        """
        self._proposals.check_observed(observation)
        (member_scores,) = self._score_checks.read([("an observation", observation)])
        assert member_scores is not None
        self._population.check(member_scores)
        member = Member(-1 - self._observed, self._crossing.read(observation.genome))
        self._observed += 1
        self.admit(member, member_scores, seed=True)
        return member

    def admit(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Let a member in; see `Population.add`."""
        self._score_checks.keep(member_scores)
        self._population.add(member, member_scores, seed=seed)
