from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.config import RayConfig
from evomerge.cluster.local import InProcess
from evomerge.cluster.registry import make_executor
from evomerge.errors import (
    CandidateError,
    ConfigError,
    EvomergeError,
    InfrastructureError,
    RecipeError,
    UserError,
)
from evomerge.evaluators.base import Failure, Outcome
from evomerge.searching.failures import FailureRow, current_halt, last_halt, reason
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, make_optimizer, open_study, search

NOT_FINITE = Failure(cause="candidate", message="not finite", error="CandidateError")
GONE = Failure(cause="candidate", message="sums.jsonl is not there", error="ConfigError")
DEAD = Failure(cause="infrastructure", message="out of memory", error="RuntimeError")


def ended(*outcomes: Failure | None) -> list[Candidate]:
    """A candidate for each: told in that order, scored where it has no failure."""
    return [
        Candidate(
            number=number,
            proposed_by="landmark",
            label=f"mark {number}",
            proposal=None,
            genome=(0.5,),
            values={"w": 0.5},
            recipe={},
            digest="d",
            asked=2 * number,
            asked_s=0.0,
            told=2 * number + 1,
            state="done" if failure is None else "failed",
            fitness=(1.0,) if failure is None else None,
            failure=failure,
        )
        for number, failure in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "row"),
    [
        ((NOT_FINITE,) * 3, (0, 1, 2)),
        ((NOT_FINITE,) * 2, None),
        ((NOT_FINITE, NOT_FINITE, DEAD), None),
        ((DEAD, NOT_FINITE, NOT_FINITE, NOT_FINITE), (1, 2, 3)),
        ((None, *(NOT_FINITE,) * 9), None),
        ((*(NOT_FINITE,) * 2, None, NOT_FINITE), None),
        ((None, *(GONE,) * 3), (1, 2, 3)),
        ((None, *(DEAD,) * 3), (1, 2, 3)),
        ((GONE, GONE, None), None),
        ((GONE, DEAD, GONE), None),
        ((), None),
    ],
)
def test_the_third_in_a_row_for_one_reason(
    outcomes: Sequence[Failure | None], row: tuple[int, ...] | None
) -> None:
    halt = FailureRow(ended(*outcomes)).halt()
    assert (halt and halt.candidates) == row


def test_what_stopped_the_search_before_does_not_count_again() -> None:
    candidates = ended(*[DEAD] * 5)
    since = candidates[2].told
    assert since is not None
    assert FailureRow(candidates, since=since).halt() is None
    halt = FailureRow(ended(*[DEAD] * 6), since=since).halt()
    assert halt is not None
    assert halt.candidates == (3, 4, 5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("candidate 3: no", "candidate 12: no"),
        ("CUDA out of memory. Tried 2.50 GiB", "CUDA out of memory. Tried 11 GiB"),
        ("the tensor 'model.layers.3.mlp' is bad", "the tensor 'lm_head' is bad"),
        ("/tmp/a1/x.json: not JSON", "/home/me/y.json: not JSON"),
        ("actor 9c2f00d1e5 on 10.0.0.7:6379 died", "actor 77abcdef01 on 10.1.2.3:80 died"),
        ("<Engine at 0x7f3c> is lost", "<Engine at 0x7ffd12> is lost"),
        ("value 1e-5 is low", "value 3.25 is low"),
    ],
)
def test_names_and_numbers_do_not_hide_that_it_is_one_reason(one: str, other: str) -> None:
    assert reason(Failure(cause="candidate", message=one)) == reason(
        Failure(cause="candidate", message=other)
    )


def test_reasons_that_differ() -> None:
    failures = [
        NOT_FINITE,
        GONE,
        Failure(cause="infrastructure", message="not finite", error="CandidateError"),
        Failure(cause="candidate", message="not finite", error="ConfigError"),
        Failure(cause="candidate", message="the model's output isn't finite"),
        Failure(cause="candidate", message="the model's answer isn't finite"),
    ]
    assert len({reason(failure) for failure in failures}) == len(failures)


@pytest.mark.parametrize(
    ("error", "of_the_job"),
    [
        (ConfigError, True),
        (UserError, True),
        (RecipeError, False),
        (CandidateError, False),
        (ValueError, False),
    ],
)
def test_whose_fault_it_is(error: type[Exception], of_the_job: bool) -> None:
    failure = Failure(cause="candidate", message="m", error=error.__name__)
    assert failure.is_of_the_job is of_the_job


class Failing:
    """A worker that fails where `fault` of how many came before says why."""

    def __init__(self, fault: Callable[[int], Failure | None]) -> None:
        self.performed = 0
        self._fault, self._sound = fault, Worker(Sphere())

    def perform(self, task: Task) -> Outcome:
        failure = self._fault(self.performed)
        self.performed += failure is None or failure.cause == "candidate"
        if failure is None:
            return self._sound.perform(task)
        message = f"{failure.message} at {task.id}"
        if failure.cause == "infrastructure":
            raise RuntimeError(message)
        return failure.model_copy(update={"message": message})


def failing(fault: Callable[[int], Failure | None]) -> InProcess:
    return InProcess(partial(Failing, fault))


def sound() -> InProcess:
    return failing(lambda performed: None)


def stopped(folder: Path, error: type[EvomergeError], **more: Any) -> str:
    """What a search that is stopped says."""
    study = open_study(folder)
    with study, pytest.raises(error) as caught:
        search(folder, study=study, **more)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_warm_start_that_its_surroundings_failed_is_tried_in_three_sittings(
    tmp_path: Path,
) -> None:
    """Each sitting ends before the optimizer is asked anything."""

    def stop(candidate: Candidate) -> None:
        raise KeyboardInterrupt

    marks = {"a": (0.2, 0.4), "b": (0.5, 0.5)}
    for _ in range(4):
        with open_study(tmp_path / "s") as study, pytest.raises(KeyboardInterrupt):
            search(
                tmp_path / "s",
                study=study,
                candidates=7,
                executor=failing(lambda performed: DEAD),
                landmarks=marks,
                told=stop,
            )
    with Study.open(tmp_path / "s", write=False) as study:
        assert [c.label for c in study.candidates()] == ["a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("failure", "error"),
    [(NOT_FINITE, UserError), (GONE, UserError), (DEAD, InfrastructureError)],
)
def test_a_search_stops_at_the_third_and_says_why(
    tmp_path: Path, failure: Failure, error: type[EvomergeError]
) -> None:
    folder, executor = tmp_path / "s", failing(lambda performed: failure)
    said = stopped(folder, error, candidates=30, executor=executor)
    assert said.startswith("candidates 0, 1, 2 failed for one reason, and the search has stopped: ")
    assert failure.message in said
    assert f"`evomerge resume {folder}`" in said
    with Study.open(folder, write=False) as study:
        assert [one.state for one in study.candidates()] == ["failed"] * 3
        halt = last_halt(study)
        assert halt is not None
        assert halt.candidates == (0, 1, 2)
        assert halt.failure.cause == failure.cause
        assert current_halt(study) == halt


def labels(folder: Path) -> list[tuple[str | None, str]]:
    with Study.open(folder, write=False) as study:
        return [(one.label, one.state) for one in study.candidates()]


def test_warm_starts_that_stopped_it_are_tried_again_and_cost_no_budget(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    stopped(folder, UserError, executor=failing(lambda performed: GONE), candidates=20)
    search(folder, executor=sound(), candidates=20).close()
    marks = ["uniform", "parent:json", "parent:math"]
    with Study.open(folder, write=False) as study:
        assert last_halt(study) is not None
        assert current_halt(study) is None
    found = labels(folder)
    assert [label for label, _ in found[:6]] == marks * 2
    assert found[3] == ("uniform", "done")
    assert len(found) == 20 + 3
    # What the optimizer asks is what it asks in a search that never stopped.
    search(tmp_path / "whole", executor=sound(), candidates=20).close()
    assert genomes(folder)[3:] == genomes(tmp_path / "whole")
    # And it can be restored from the record.
    search(folder, executor=sound(), candidates=25).close()
    assert len(labels(folder)) == 25 + 3


def genomes(folder: Path) -> list[Any]:
    with Study.open(folder, write=False) as study:
        return [one.genome for one in study.candidates()]


def test_what_is_tried_again_is_not_counted_from_the_start(tmp_path: Path) -> None:
    folder, done = tmp_path / "s", list[int]()
    stopped(folder, UserError, executor=failing(lambda performed: GONE), candidates=3)
    search(
        folder, executor=sound(), candidates=3, tell=lambda progress: done.append(progress.done)
    ).close()
    assert [state for _, state in labels(folder)] == ["failed"] * 3 + ["done", "failed", "failed"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 3)
    # Nor in a sitting that comes later.
    search(
        folder, executor=sound(), candidates=4, tell=lambda progress: done.append(progress.done)
    ).close()
    assert done[-1] == 4


def test_a_cause_that_is_not_mended_stops_it_again(tmp_path: Path) -> None:
    folder, broken = tmp_path / "s", failing(lambda performed: DEAD)
    stopped(folder, InfrastructureError, candidates=30, executor=broken)
    said = stopped(folder, InfrastructureError, candidates=30, executor=broken)
    assert said.startswith("candidates 3, 4, 5 failed")
    assert len(labels(folder)) == 6


def test_the_optimizers_own_failures_stay_on_record(tmp_path: Path) -> None:
    """It was told of them: a replay has to tell it the same."""
    folder = tmp_path / "s"
    late = failing(lambda performed: GONE if performed >= 5 else None)
    said = stopped(folder, UserError, candidates=30, executor=late)
    # One of the six before them was a warm start again, which costs no evaluation.
    assert said.startswith("candidates 6, 7, 8 failed")
    search(folder, executor=sound(), candidates=30).close()
    assert [state for _, state in labels(folder)[6:10]] == ["failed"] * 3 + ["done"]
    assert len(labels(folder)) == 30


def test_a_place_where_candidates_fail_is_nothing_to_stop_for(tmp_path: Path) -> None:
    heavy = failing(lambda performed: NOT_FINITE if 5 <= performed < 15 else None)
    search(tmp_path / "s", candidates=20, executor=heavy).close()
    assert sum(state == "failed" for _, state in labels(tmp_path / "s")) >= 10


def test_a_budget_of_fewer_than_three_ends_with_the_reason(tmp_path: Path) -> None:
    said = stopped(
        tmp_path / "s", UserError, candidates=1, executor=failing(lambda performed: GONE)
    )
    assert said.startswith("candidate 0 failed for one reason")


def test_it_stops_without_warm_starts(tmp_path: Path) -> None:
    said = stopped(
        tmp_path / "s",
        UserError,
        candidates=30,
        landmarks={},
        optimizer=make_optimizer("random"),
        executor=failing(lambda performed: NOT_FINITE),
    )
    assert said.startswith("candidates 0, 1, 2 failed")


@pytest.mark.ray
def test_it_stops_on_ray_as_in_process(tmp_path: Path) -> None:
    config = RayConfig(workers=2, dashboard=False, max_attempts=1)
    executor = make_executor(config, "tests.searching.test_failures:Shaky", Sphere())
    try:
        said = stopped(tmp_path / "s", InfrastructureError, candidates=30, executor=executor)
    finally:
        executor.close()
    assert said.startswith("candidates 0, 1, 2 failed for one reason")
    assert "RuntimeError: out of memory at " in said
    with Study.open(tmp_path / "s", write=False) as study:
        assert len(study.candidates()) <= 4


class Shaky:
    """A worker whose engine fails."""

    def __init__(self, config: Sphere) -> None:
        pass

    def perform(self, task: Task) -> Outcome:
        raise RuntimeError(f"out of memory at {task.id}")
