"""A search in stages that is killed at any step, or stopped by Ctrl-C: nothing is lost."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from evomerge.cluster.base import TaskResult
from evomerge.cluster.local import InProcess
from evomerge.interruption import heeded
from evomerge.searching.progress import Progress
from evomerge.searching.schedule import Schedule
from evomerge.study.folder import Identity
from evomerge.study.record import Study
from evomerge.study.trials import Trials
from tests.searching.staged import (
    Graded,
    Halves,
    Killed,
    Rungs,
    Steps,
    Workers,
    record,
    saving,
    staged,
)
from tests.sphere import make_optimizer, open_study


class Writes:
    """A study's storage or reports, of which each write is a step."""

    def __init__(self, storage: Any, steps: Steps) -> None:
        self._storage, self._steps = storage, steps

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._storage, name)
        if not name.startswith(("set_", "create_", "save")):
            return there
        return lambda *given, **facts: self._steps(partial(there, *given, **facts))


class MortalTrials(Trials):
    """Trials of which each write is a step."""

    def __init__(self, identity: Identity, journal: Path, steps: Steps) -> None:
        super().__init__(identity, journal)
        self._storage = cast(Any, Writes(self._storage, steps))


class Mortal(Study):
    """A study whose every write may be the last thing that its process does."""

    def die_of(self, steps: Steps) -> None:
        """Let each write be one of these steps."""
        self._trials = MortalTrials(self._identity, self._folder.journal, steps)
        self.reports = cast(Any, Writes(self.reports, steps))


def run_to_death(
    folder: Path,
    schedule: Schedule | None,
    steps: Steps,
    executor: Workers | None = None,
    **budget: Any,
) -> Workers:
    """Go on with the study until the end or the fatal step."""
    executor = executor or Workers(1, steps)
    optimizer = make_optimizer("genetic", population=4)
    with Mortal.open(folder, write=True) as study:
        study.die_of(steps)
        staged(folder, schedule, study=study, executor=executor, optimizer=optimizer, **budget)
    return executor


TWICE = {"first": (0.2, 0.4), "again": (0.2, 0.4), "heavy": (0.99, 0.1)}
"""Warm starts: one, the same, and one that fails."""

SEARCHES: dict[str, tuple[Callable[[], Schedule | None], dict[str, Any]]] = {
    "at once": (lambda: None, {"candidates": None, "evaluations": 4, "landmarks": TWICE}),
    "halves": (Halves, {"candidates": None, "evaluations": 3, "landmarks": TWICE}),
    "halves of 7": (Halves, {"candidates": 7}),
    "rungs": (Rungs, {"candidates": 7}),
    "halving": (partial(saving, "halving"), {"candidates": 9}),
    "racing": (partial(saving, "racing"), {"candidates": 9}),
}
LONG = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("halves of 7", "rungs", "halving", "racing")
]


class Kept(Steps):
    """Keeps the study's folder as each step finds it: what a kill right there leaves behind."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __call__(self, step: Callable[[], Any]) -> Any:
        shutil.copytree(self.folder, self.left_at(self.count))
        return super().__call__(step)

    def left_at(self, step: int) -> Path:
        return self.folder.with_name(f"killed-{step}")


@pytest.mark.parametrize("name", ["at once", "halves", *LONG])
def test_killed_at_any_write_it_ends_with_the_same_record(tmp_path: Path, name: str) -> None:
    make, budget = SEARCHES[name]
    whole = tmp_path / "whole"
    open_study(whole).close()
    steps = Kept(whole)
    executor = run_to_death(whole, make(), steps, **budget)
    expected, evaluations = record(whole), len(executor.asked)
    assert steps.count > 30
    # The last write, the study's clock, ends no search.
    for step in range(steps.count - 1):
        folder = steps.left_at(step)
        second = run_to_death(folder, make(), Steps(), **budget)
        assert record(folder) == expected, f"killed at step {step}"
        assert len(second.asked) <= evaluations
        shutil.rmtree(folder)


@pytest.mark.parametrize("step", [0, 1, 9, 20, 30])
def test_a_search_that_dies_leaves_what_its_last_step_left(tmp_path: Path, step: int) -> None:
    """Whatever it would tidy up on its way out."""
    make, budget = SEARCHES["halves"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    open_study(whole).close()
    shutil.copytree(whole, killed)
    steps = Kept(whole)
    run_to_death(whole, make(), steps, **budget)
    with pytest.raises(Killed):
        run_to_death(killed, make(), Steps(step), **budget)
    assert record(killed) == record(steps.left_at(step))


class Poisoned(Workers):
    """One of the candidates kills the process whenever it is evaluated."""

    def __init__(self, steps: Steps, poison: str) -> None:
        super().__init__(1, steps)
        self._steps, self._poison = steps, poison

    def wait(self, timeout_s: float) -> list[TaskResult]:
        if any(task.id == self._poison and task.begun < 3 for task in self._queue):
            self._steps.kill()
        return super().wait(timeout_s)


@pytest.mark.parametrize("poison", ["0", "5"])
def test_a_candidate_that_kills_every_process_is_given_up_and_costs_the_budget_nothing(
    tmp_path: Path, poison: str
) -> None:
    open_study(tmp_path / "s").close()
    for _ in range(3):
        steps = Steps()
        with pytest.raises(Killed):
            run_to_death(tmp_path / "s", None, steps, Poisoned(steps, poison), candidates=7)
    steps = Steps()
    run_to_death(tmp_path / "s", None, steps, Poisoned(steps, poison), candidates=7)
    with Study.open(tmp_path / "s", write=False) as study:
        lost = study.candidate(int(poison))
        others = [c for c in study.candidates() if c.number != lost.number]
    assert lost.failure is not None
    assert (lost.failure.cause, lost.attempts) == ("infrastructure", 3)
    assert lost.failure.message.startswith("the process ended 3 times at its evaluation")
    assert len(others) == 7
    assert all(c.told is not None for c in others)


def test_a_candidate_at_which_the_driver_dies_is_given_up_by_any_executor(tmp_path: Path) -> None:
    """One that counts no deaths of the driver, as on Ray: its workers do not die with it."""
    open_study(tmp_path / "s").close()
    with pytest.raises(Killed):
        run_to_death(tmp_path / "s", None, Steps(3), candidates=7)
    with Study.open(tmp_path / "s", write=True) as study:
        study.begin(0, 0, 10)
    workers = InProcess(partial(Graded, [], Steps()), max_attempts=99)
    staged(tmp_path / "s", None, executor=workers, candidates=7).close()
    with Study.open(tmp_path / "s", write=False) as study:
        first, *others = study.candidates()
    assert first.failure is not None
    assert first.failure.message == "the driver died 10 times while it was evaluated"
    assert (first.attempts, len(others)) == (10, 7)


def test_an_end_that_is_no_death_costs_no_attempt(tmp_path: Path) -> None:
    """Ctrl-C in an evaluation, as often as one likes."""
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            staged(tmp_path / "s", None, executor=Interrupted(1, 0, 0), candidates=7)
    with Study.open(tmp_path / "s", write=False) as study:
        assert [(c.state, c.begun) for c in study.candidates()] == [("running", 0)]
    staged(tmp_path / "s", None, candidates=7).close()
    with Study.open(tmp_path / "s", write=False) as study:
        assert study.candidate(0).attempts == 1


class Signalled(Steps):
    """Somebody asks the program to end right after one of its steps."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def __call__(self, step: Callable[[], Any]) -> Any:
        done = super().__call__(step)
        if self.count == self._after:
            signal.raise_signal(signal.SIGTERM)
        return done


def test_a_signal_after_any_write_leaves_a_whole_record(tmp_path: Path) -> None:
    """With three candidates under way, whose results come in while it drains."""
    budget = {"candidates": 5}
    open_study(tmp_path / "empty").close()
    shutil.copytree(tmp_path / "empty", tmp_path / "whole")
    steps = Steps()
    run_to_death(tmp_path / "whole", Halves(), steps, Workers(3, steps), **budget)
    assert steps.count > 50
    for after in range(1, steps.count - 2):
        folder = tmp_path / f"signalled-{after}"
        shutil.copytree(tmp_path / "empty", folder)
        signalled = Signalled(after)
        with pytest.raises(KeyboardInterrupt), heeded():
            run_to_death(folder, Halves(), signalled, Workers(3, signalled), **budget)
        record(folder)  # raises where a number is missing or stands twice
        run_to_death(folder, Halves(), Steps(), Workers(3), **budget)
        with Study.open(folder, write=False) as study:
            assert [c.told is None for c in study.candidates()] == [False] * 5, f"after {after}"
        shutil.rmtree(folder)


class Interrupted(Workers):
    """Ctrl-C is pressed when so many results are in, and again after some more."""

    def __init__(self, workers: int, *presses: int) -> None:
        super().__init__(workers)
        self._presses = list(presses)

    def wait(self, timeout_s: float) -> list[TaskResult]:
        if self._presses and self._presses[0] == 0:
            self._presses.pop(0)
            raise KeyboardInterrupt
        if self._presses:
            self._presses[0] -= 1
        return super().wait(timeout_s)


@pytest.mark.parametrize("make", [Halves, Rungs])
def test_ctrl_c_records_what_is_under_way_and_asks_nothing_more(
    tmp_path: Path, make: Callable[[], Schedule]
) -> None:
    staged(tmp_path / "whole", make(), executor=Workers(3)).close()
    said: list[Progress] = []
    executor = Interrupted(3, 6)
    with pytest.raises(KeyboardInterrupt):
        staged(tmp_path / "s", make(), executor=executor, tell=said.append)
    with Study.open(tmp_path / "s", write=False) as study:
        before = study.candidates()
    assert said[-1].draining
    assert len(executor.asked) == 6 + 3
    assert all(c.stages or c.told is not None for c in before)
    staged(tmp_path / "s", make(), executor=Workers(3)).close()
    with Study.open(tmp_path / "s", write=False) as study:
        assert all(c.told is not None or c.state == "paused" for c in study.candidates())
        assert len(study.candidates()) == 15


def test_a_second_ctrl_c_leaves_what_is_under_way(tmp_path: Path) -> None:
    executor = Interrupted(3, 4, 1)
    with pytest.raises(KeyboardInterrupt):
        staged(tmp_path / "s", Halves(), executor=executor)
    assert len(executor.asked) == 4 + 1
    with Study.open(tmp_path / "s", write=False) as study:
        assert [c.state for c in study.unfinished()] == ["running"] * len(study.unfinished())
        assert study.unfinished()


def test_an_interruption_that_hits_a_task_does_not_wait_for_it(tmp_path: Path) -> None:
    class Hit(Steps):
        def __call__(self, step: Callable[[], Any]) -> Any:
            self.count += 1
            if self.count == 3:
                raise KeyboardInterrupt
            return step()

    with pytest.raises(KeyboardInterrupt):
        staged(tmp_path / "s", Halves(), executor=Workers(steps=Hit()))
    staged(tmp_path / "s", Halves()).close()
    staged(tmp_path / "whole", Halves()).close()
    assert record(tmp_path / "s") == record(tmp_path / "whole")
