"""One run: an optimizer asks for networks, is told which images they solve, and is watched."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from contestants import REACH
from digit_data import Images
from network import PARAMETERS, accuracy, solved
from numpy.typing import NDArray
from scipy.special import entr

from evomerge.optimizers.base import Observation, Optimizer, Result, Scores
from evomerge.optimizers.populations.population import Member
from evomerge.recipe.genome import Genome

__all__ = ["Mark", "checkpoints", "course", "genome", "weights"]


@dataclass(frozen=True)
class Mark:
    """Where a run stood after so many forward passes over the training images."""

    passes: int
    training: float
    """Accuracy of the best network: of the archive, else of all that were tried."""
    test: float
    """The same network's accuracy on the test images."""
    coverage: float | None = None
    """Share of training images that some member of the archive solves."""
    entropy: float | None = None
    """Mean binary entropy of the share of members that solve an image, in bits."""
    distinct: int | None = None
    """Different rows of scores in the archive."""


def genome(network: NDArray[np.float64]) -> Genome:
    """Weights -> genome."""
    return tuple(((network + REACH) / (2 * REACH)).clip(0, 1).tolist())


def weights(genomes: Sequence[Genome]) -> NDArray[np.float64]:
    """Genomes -> (networks, PARAMETERS)."""
    # Packed first: np.array of a tuple of Python's floats takes four times as long.
    packed = [np.frombuffer(struct.pack(f"{len(point)}d", *point)) for point in genomes]
    values: NDArray[np.float64] = np.array(packed) * (2 * REACH) - REACH
    return values


def checkpoints(budget: int) -> list[int]:
    """Passes at which a run is looked at: some twenty for each factor of ten."""
    steps = np.unique(np.geomspace(20, budget, 50).astype(int))
    return sorted({*steps.tolist(), *(mark for mark in (1000, 2000, 10_000) if mark <= budget)})


def course(
    optimizer: Optimizer,
    founders: Sequence[NDArray[np.float64]],
    training: Images,
    test: Images,
    *,
    budget: int,
    batch: int = 1,
) -> list[Mark]:
    """Run for so many passes, `batch` questions at a time; the founders are observed before.

    One question at a time is the released code's loop; a batch of one generation is CMA-ES's.
    """
    rows: dict[int, NDArray[np.bool_]] = {}
    for founder in founders:
        place = genome(founder)
        row = solved(weights([place]), training)[0]
        rows[-1 - len(rows)] = row
        optimizer.observe(Observation(place, (float(row.mean()),), *_scores(row, training)))
    marks: list[Mark] = []
    looks = checkpoints(budget)
    best, best_training, passes = np.zeros(PARAMETERS), -1.0, 0
    while passes < budget:
        questions = optimizer.ask(min(batch, budget - passes))
        networks = weights([question.genome for question in questions])
        answers = solved(networks, training)
        rows |= {question.id: row for question, row in zip(questions, answers, strict=True)}
        shares = answers.mean(axis=1)
        optimizer.tell(
            [
                Result(question.id, (float(share),), *_scores(row, training))
                for question, share, row in zip(questions, shares, answers, strict=True)
            ]
        )
        if shares.max() > best_training:
            best_training, best = float(shares.max()), networks[int(shares.argmax())].copy()
        passes += len(questions)
        if looks and passes >= looks[0]:
            looks = [look for look in looks if look > passes]
            if (kept := _kept(optimizer)) is None:
                marks.append(Mark(passes, best_training, accuracy(best, test)))
            else:
                marks.append(_mark(passes, kept, rows, test))
    return marks


def _scores(row: NDArray[np.bool_], images: Images) -> tuple[Scores, Scores]:
    """Of each image; and of the two tasks of MAP-Elites, even and odd digits."""
    odd = images.labels % 2 == 1
    return tuple(row.astype(float).tolist()), (float(row[~odd].mean()), float(row[odd].mean()))


def _kept(optimizer: Any) -> Sequence[Member[Any]] | None:
    """The members of an optimizer that keeps some."""
    kept = getattr(optimizer, "archive", None) or getattr(optimizer, "elites", None)
    return None if kept is None else kept.members


def _mark(
    passes: int,
    members: Sequence[Member[Any]],
    rows: Mapping[int, NDArray[np.bool_]],
    test: Images,
) -> Mark:
    solved_by = np.array([rows[member.id] for member in members])
    training = solved_by.mean(axis=1)
    (best,) = weights([tuple(members[int(training.argmax())].body.tolist())])
    share = solved_by.mean(axis=0)
    return Mark(
        passes,
        float(training.max()),
        accuracy(best, test),
        coverage=float(solved_by.any(axis=0).mean()),
        entropy=float((entr(share) + entr(1 - share)).mean() / np.log(2)),
        distinct=len(np.unique(solved_by, axis=0)),
    )


def plain(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(mark) for mark in marks]
