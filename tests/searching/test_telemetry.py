"""What a cluster is shown of a search, and that no search ends by it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from evomerge.cluster.local import InProcess
from evomerge.cluster.metrics import METRICS, Reading
from evomerge.searching.progress import Scoring
from evomerge.searching.telemetry import Telemetry, phases, standing
from evomerge.study.record import Study
from tests.commands.moments import candidate, progress
from tests.sphere import Sphere, Worker, open_study, search


class Board(InProcess):
    """An executor whose cluster is watched."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__(lambda: Worker(Sphere()))
        self.shown: list[tuple[list[Reading], str]] = []
        self.fault = fault

    def waiting_for(self) -> str | None:
        return "1 of 2 workers waits for 1 GPU"

    def show(self, readings: Iterable[Reading], message: str) -> None:
        self.shown.append((list(readings), message))
        if self.fault is not None:
            raise self.fault


def searched(folder: Path, board: InProcess, candidates: int = 8) -> tuple[Study, Telemetry]:
    """A search whose telemetry hands on all that it hears, since its clock runs fast."""
    study, ticks = open_study(folder), count(0.0, 10.0)
    telemetry = Telemetry(study, board, lambda: next(ticks))
    search(
        folder,
        candidates=candidates,
        executor=board,
        study=study,
        tell=telemetry.progressed,
        told=telemetry.told,
    )
    return study, telemetry


def totals(board: Board) -> dict[tuple[str, ...], float]:
    """(metric, value of its tag, if it has one) -> the last of a gauge, the sum of a counter."""
    known: dict[tuple[str, ...], float] = {}
    for readings, _ in board.shown:
        for reading in readings:
            assert set(reading.tags) == set(METRICS[reading.metric].tags)
            key = (reading.metric, *reading.tags.values())
            is_counter = METRICS[reading.metric].kind == "counter"
            known[key] = reading.value + (known.get(key, 0.0) if is_counter else 0.0)
    return known


def test_what_is_shown_is_what_is_on_record(tmp_path: Path) -> None:
    board = Board()
    study, _ = searched(tmp_path / "s", board)
    known = totals(board)
    ended = study.candidates()
    for state in ("running", "paused", "done", "stopped", "failed"):
        number = sum(candidate.state == state for candidate in ended)
        assert known["evomerge_candidates", state] == number
    scored = [candidate.fitness[0] for candidate in ended if candidate.fitness]
    assert known["evomerge_best_fitness", "fitness"] == max(scored)
    assert known["evomerge_mean_fitness", "fitness"] == pytest.approx(sum(scored) / len(scored))
    parents = [c.fitness[0] for c in ended if c.fitness and "parent:" in (c.label or "")]
    assert (("evomerge_best_parent_fitness", "fitness") in known) == bool(parents)
    assert known["evomerge_budget",] == 8
    assert known["evomerge_evaluations",] == sum(candidate.attempts > 0 for candidate in ended)
    assert known["evomerge_workers", "idle"] == 1
    assert known["evomerge_worker_restarts",] == 0
    named = {key[1] for key in known if key[0] == "evomerge_seconds"}
    assert named == {"ask", "queue", "merge", "load", "generate", "score"}
    assert known["evomerge_seconds", "ask"] > 0
    waited = [
        phases(c, c.told_s - c.asked_s)["queue"]
        for c in ended
        if c.attempts and c.told_s is not None
    ]
    assert known["evomerge_seconds", "queue"] == pytest.approx(sum(waited))
    assert board.shown[-1][1].startswith("best ")
    assert board.shown[-1][1].endswith("; 1 of 2 workers waits for 1 GPU")
    study.close()


def test_a_search_that_goes_on_counts_what_was_there(tmp_path: Path) -> None:
    searched(tmp_path / "s", Board(), candidates=5)[0].close()
    board = Board()
    study, _ = searched(tmp_path / "s", board, candidates=9)
    known = totals(board)
    states = ("done", "failed", "stopped")
    assert sum(known["evomerge_candidates", state] for state in states) == 9
    assert known["evomerge_evaluations",] == 4
    study.close()


def test_no_search_ends_by_what_is_shown_of_it(tmp_path: Path) -> None:
    board = Board(RuntimeError("no agent"))
    study, _ = searched(tmp_path / "s", board)
    assert len(study.candidates()) == 8
    assert len(board.shown) == 1, "it was tried again"
    study.close()


def test_values_are_handed_on_at_most_every_two_seconds(tmp_path: Path) -> None:
    board, ticks = Board(), count(0.0, 0.5)
    study = open_study(tmp_path / "s")
    telemetry = Telemetry(study, board, lambda: next(ticks))
    for _ in range(9):
        telemetry.progressed(progress())
    assert len(board.shown) == 3
    study.close()


def test_what_comes_after_the_search(tmp_path: Path) -> None:
    board = Board()
    study, telemetry = searched(tmp_path / "s", board)
    scoring = Scoring(split="validation", done=2, total=5, models={}, noun="finalist")
    telemetry.scored(scoring)
    assert board.shown[-1][1] == "the search is over; validation: 2 of 5 finalists"
    study.close()


def test_an_executor_that_nobody_watches_is_left_alone(tmp_path: Path) -> None:
    study, telemetry = searched(tmp_path / "s", InProcess(lambda: Worker(Sphere())))
    telemetry.scored(Scoring(split="holdout", done=0, total=1, models={}))
    assert len(study.candidates()) == 8
    study.close()


def test_the_time_of_a_candidate_by_phase() -> None:
    took = {"merge_and_load": 3.0, "merge": 2.0, "evaluate": 10.0, "generate": 7.0}
    assert phases(candidate(1, 0.5, seconds=took), 14.5) == {
        "queue": 1.5,
        "merge": 2.0,
        "load": 1.0,
        "generate": 7.0,
        "score": 3.0,
    }
    assert set(phases(candidate(1, 0.5), 0.0).values()) == {0.0}


def test_where_a_search_stands_in_a_sentence() -> None:
    at = progress(failed=1)
    assert standing(at, at.leaders[3], 200.0) == (
        "best 0.5250 (candidate 9), best parent 0.1000 (mathematics);"
        " 12 of 25 candidates, 1 failed; about 3:20 left"
    )
    begun = progress(done=0, best=None, leaders=(), bests=(), total=None)
    assert standing(begun, None, None) == "nothing scored yet; 0 candidates"
    evaluations = progress(evaluations=30)
    assert "12 of 30 evaluations" in standing(evaluations, None, None)
