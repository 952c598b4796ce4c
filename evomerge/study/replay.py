"""Restore an optimizer from the record: ask and tell it again what was asked and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from reprlib import repr as short

from evomerge.errors import RecordError
from evomerge.optimizers.base import Observation, Optimizer, Result, ask_again
from evomerge.study.candidate import Candidate, events, landmarks

__all__ = ["Observed", "by_fitness", "restore"]

Observed = Callable[[Candidate], Observation | None]
"""What an optimizer hears of a candidate that was told; None of one that counts as failed."""


def by_fitness(candidate: Candidate) -> Observation | None:
    """What an optimizer hears that goes by the fitness alone."""
    fitness = candidate.partial if candidate.fitness is None else candidate.fitness
    if fitness is None:
        return None
    return Observation(candidate.genome, fitness, violations=candidate.violations)


def restore(
    optimizer: Optimizer,
    candidates: Iterable[Candidate],
    observed: Observed = by_fitness,
) -> None:
    """Bring a fresh optimizer to where the recorded one was.

    Landmarks are observed first, by number; questions are asked again and answers told one at a
    time, in the recorded order; finalists were never the optimizer's concern. Unfinished candidates
    are asked, and wait for their tell. `observed` adds the scores of examples and of tasks, where
    the optimizer needs them.

    Raises:
        RecordError: the optimizer asks something else than was recorded, or refuses what it was
            told; it must not be used then.
    """
    known = list(candidates)
    order = events(known)
    if any(event.candidate.proposed_by == "optimizer" for event in order):
        _observe_landmarks(optimizer, known, observed)
    for event in order:
        candidate = event.candidate
        match candidate.proposed_by, event.kind:
            case "optimizer", "ask":
                _ask_again(optimizer, candidate)
            case "optimizer", "tell":
                assert candidate.proposal is not None
                with _refusal_named(candidate):
                    optimizer.tell([Result.of(candidate.proposal, observed(candidate))])


_CURE = "resume with the job, seed and package versions that the study was made with"


def _observe_landmarks(
    optimizer: Optimizer, candidates: Sequence[Candidate], observed: Observed
) -> None:
    """As the search tells them once all are back."""
    for candidate in landmarks(candidates):
        if observation := observed(candidate):
            with _refusal_named(candidate):
                optimizer.observe(observation)


@contextmanager
def _refusal_named(candidate: Candidate) -> Iterator[None]:
    try:
        yield
    except ValueError as problem:
        raise RecordError(
            f"candidate {candidate.number}: the optimizer refuses the recorded fitness "
            f"{candidate.fitness} ({problem}); {_CURE}"
        ) from problem


def _ask_again(optimizer: Optimizer, candidate: Candidate) -> None:
    try:
        proposals = ask_again(optimizer, candidate.genome)
    except ValueError as problem:
        raise RecordError(
            f"candidate {candidate.number}: the optimizer does not ask it now ({problem}); {_CURE}"
        ) from problem
    if not proposals:
        raise RecordError(
            f"candidate {candidate.number} was recorded as question {candidate.proposal}, but the "
            f"optimizer has no question now; {_CURE}"
        )
    if proposals[0].id != candidate.proposal:
        raise RecordError(
            f"candidate {candidate.number} was recorded as question {candidate.proposal}, but the "
            f"optimizer asks question {proposals[0].id}; {_CURE}"
        )
    genome = proposals[0].genome
    if len(genome) != len(candidate.genome):
        raise RecordError(
            f"candidate {candidate.number} was recorded with {len(candidate.genome)} genes, but "
            f"the optimizer asks {len(genome)}; {_CURE}"
        )
    for name, recorded, asked in zip(candidate.values, candidate.genome, genome, strict=True):
        if recorded != asked:
            raise RecordError(
                f"candidate {candidate.number} was recorded with {short(recorded)} for the gene "
                f"{name!r} (as the optimizer sees it), but the optimizer asks {short(asked)};"
                f" {_CURE}"
            )
