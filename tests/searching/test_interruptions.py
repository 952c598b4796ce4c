"""A search in stages that is killed at any step, or stopped by Ctrl-C: nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import TaskResult
from evomerge.searching.progress import Progress
from evomerge.searching.schedule import Schedule
from evomerge.study.record import Study
from tests.searching.staged import Halves, Killed, Rungs, Steps, Workers, record, staged
from tests.sphere import make_optimizer, open_study


class Mortal(Study):
    """A study whose every write may be the last thing that its process does."""

    steps = Steps()

    def ask(self, **facts: Any) -> int:
        number: int = self.steps(partial(super().ask, **facts))
        return number

    def add_stage(self, *given: Any, **facts: Any) -> None:
        self.steps(partial(super().add_stage, *given, **facts))

    def pause(self, *given: Any) -> None:
        self.steps(partial(super().pause, *given))

    def stop(self, *given: Any, **facts: Any) -> int:
        place: int = self.steps(partial(super().stop, *given, **facts))
        return place

    def tell(self, *given: Any, **facts: Any) -> int:
        place: int = self.steps(partial(super().tell, *given, **facts))
        return place

    def save_report(self, *given: Any) -> None:
        self.steps(partial(super().save_report, *given))


def run_to_death(folder: Path, schedule: Schedule, workers: int, steps: Steps) -> Workers:
    """Go on with the study until the end or the fatal step."""
    executor = Workers(workers, steps)
    optimizer = make_optimizer("genetic", population=4)
    with Mortal.open(folder, write=True) as study:
        study.steps = steps
        staged(
            folder,
            schedule,
            candidates=7,
            study=study,
            executor=executor,
            optimizer=optimizer,
        )
    return executor


@pytest.mark.slow
@pytest.mark.parametrize(("make", "workers"), [(Halves, 1), (Rungs, 1)], ids=["halves", "rungs"])
def test_killed_at_any_step_it_ends_with_the_same_record(
    tmp_path: Path, make: Callable[[], Schedule], workers: int
) -> None:
    empty, whole = tmp_path / "empty", tmp_path / "whole"
    open_study(empty).close()
    shutil.copytree(empty, whole)
    steps = Steps()
    executor = run_to_death(whole, make(), workers, steps)
    expected, evaluations = record(whole), len(executor.asked)
    for step in range(steps.count):
        folder = tmp_path / f"killed-{step}"
        shutil.copytree(empty, folder)
        with pytest.raises(Killed):
            run_to_death(folder, make(), workers, Steps(step))
        second = run_to_death(folder, make(), workers, Steps())
        assert record(folder) == expected, f"killed at step {step}"
        assert len(second.asked) <= evaluations
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
