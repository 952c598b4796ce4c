"""A search to be disturbed: the real loop, study and executor, light evaluations, engines apart.

    python -m tests.cluster.disturbed FOLDER NOTES [--address HOST:PORT] [--optimizer KIND] ...

Candidates are recorded in the database that EVOMERGE_STORAGE names, where it names one.

Searches in the folder, or goes on there, and notes `told NUMBER` of each candidate that is on
record. What ends it is said as the command line says it, with the same exit codes.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from evomerge.cluster.config import RayConfig, WorkerRange
from evomerge.cluster.local import InProcess
from evomerge.cluster.registry import make_executor
from evomerge.errors import EvomergeError, UserError
from evomerge.interruption import exit_code, heeded
from evomerge.study.candidate import Candidate
from evomerge.study.database_url import STORAGE
from evomerge.study.record import Study
from tests.cluster.engine_apart import EngineApart, Undisturbed, note
from tests.sphere import make_optimizer, make_space, search

__all__ = ["DEADLINE_S", "Row", "row", "undisturbed"]

DEADLINE_S = 40.0
"""What an evaluation may take: more than it takes, and than a network may be cut."""

Row = tuple[object, ...]


def row(candidate: Candidate) -> Row:
    """What no fault may change of a candidate: who asked it, its genome, what it came to."""
    failed = candidate.failure and candidate.failure.cause
    return (candidate.label, candidate.genome, candidate.state, candidate.fitness, failed)


def undisturbed(folder: Path, optimizer: str, evaluations: int, worker: EngineApart) -> list[Row]:
    """The same search in this process, where nothing goes wrong but what is the recipes' fault."""
    executor = InProcess(partial(Undisturbed, worker), candidate_timeout_s=DEADLINE_S)
    chosen = make_optimizer(optimizer)
    with search(folder, evaluations=evaluations, executor=executor, optimizer=chosen) as study:
        return [row(candidate) for candidate in study.candidates()]


def main() -> int:
    """Search; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("notes")
    parser.add_argument("--address")
    parser.add_argument("--optimizer", default="cma_es")
    parser.add_argument("--evaluations", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--one-in", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray-timeout", type=float, default=30)
    given = parser.parse_args()
    config = RayConfig(
        address=given.address,
        workers=WorkerRange(max=given.workers),
        candidate_timeout_s=DEADLINE_S,
        grace_s=2,
        ray_timeout_s=given.ray_timeout,
        dashboard=False,
    )
    worker = EngineApart(notes=given.notes, seconds=given.seconds, one_in=given.one_in)
    try:
        with heeded():
            _search(given, config, worker)
    except EvomergeError as problem:
        print(f"evomerge: {problem}", file=sys.stderr)
        return 2 if isinstance(problem, UserError) else 1
    except KeyboardInterrupt:
        return exit_code() or 130
    return 0


def _search(given: argparse.Namespace, config: RayConfig, worker: EngineApart) -> None:
    study = _open(given.folder)

    def told(candidate: Candidate) -> None:
        note(given.notes, "told", str(candidate.number))

    try:
        executor = make_executor(config, "tests.cluster.engine_apart:Worker", worker)
        try:
            optimizer = make_optimizer(given.optimizer)
            budget = given.evaluations
            search(
                given.folder,
                evaluations=budget,
                executor=executor,
                optimizer=optimizer,
                study=study,
                told=told,
            )
        finally:
            executor.close()
    finally:
        study.close()


def _open(folder: Path) -> Study:
    if (folder / "study.json").exists():
        return Study.open(folder, write=True)
    storage = f"env:{STORAGE}" if STORAGE in os.environ else None
    job = {"storage": storage} if storage else {}
    genes = make_space().genes
    return Study.create(folder, name=folder.name, job=job, genes=genes, storage_url=storage)


if __name__ == "__main__":
    sys.exit(main())
