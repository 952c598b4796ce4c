"""A search in stages without a model: four examples of a formula, and schedules over them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.config import SCHEDULES
from evomerge.evaluators.base import Failure, Outcome, Report, Selection, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Merge
from evomerge.searching.schedule import Decision, Finished, Paused, Schedule, Stage, Stopped
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from tests.sphere import open_study, search

__all__ = [
    "FIRST",
    "REST",
    "Graded",
    "Halves",
    "Killed",
    "Rungs",
    "Steps",
    "Workers",
    "record",
    "saving",
    "staged",
]

SIZES = {"sphere": 4}
FIRST: Selection = {"sphere": (0, 2)}
REST: Selection = {"sphere": (1, 3)}
BEST = {"json": (0.25, 0.35), "math": (0.75, 0.85)}


class Killed(BaseException):
    """The process is gone, as far as the search can tell."""


class Steps:
    """Counts what a search does, and kills it before one of its steps, which is after another."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.count, self._kill_at = 0, kill_at

    def __call__(self, step: Callable[[], Any]) -> Any:
        if self._kill_at is not None and self.count >= self._kill_at:
            raise Killed  # and nothing is done any more
        self.count += 1
        return step()

    def kill(self) -> None:
        """From now on nothing is done any more."""
        self._kill_at = 0
        raise Killed


class Stepwise:
    """A worker that notes what it is asked, and takes a step for each task."""

    def __init__(self, asked: list[tuple[str, Selection | None]], steps: Steps) -> None:
        self._asked, self._steps = asked, steps

    def perform(self, task: Task) -> Outcome:
        outcome: Outcome = self._steps(partial(self._noted, task))
        return outcome

    def score(self, task: Task) -> Outcome:
        """What it says of a task."""
        raise NotImplementedError

    def _noted(self, task: Task) -> Outcome:
        self._asked.append((digest(task.recipe), task.examples))
        return self.score(task)


class Graded(Stepwise):
    """Scores a recipe on four examples: how near each weight is to two places of its own."""

    def score(self, task: Task) -> Outcome:
        assert isinstance(task.recipe, Merge)
        weights = {name: float(one["weight"]) for name, one in task.recipe.rules[0].inputs.items()}
        if max(weights.values()) > 0.98:
            return Failure(cause="candidate", message="too heavy")
        scores = [1 - abs(weights[name] - place) for name in BEST for place in BEST[name]]
        places = range(4) if task.examples is None else task.examples["sphere"]
        chosen = tuple(scores[place] for place in places)
        score = TaskScore(metric="near", value=sum(chosen) / len(chosen), examples=chosen)
        return Report(split=task.split, tasks={"sphere": score}, places=task.examples)


class Workers(InProcess):
    """So many workers; what came first is performed first. Knows what was asked and cancelled."""

    def __init__(
        self, count: int = 1, steps: Steps | None = None, kind: type[Graded] = Graded
    ) -> None:
        self.asked: list[tuple[str, Selection | None]] = []
        self.cancelled: list[str] = []
        super().__init__(partial(kind, self.asked, steps or Steps()))
        self._count = count

    @property
    def free(self) -> int:
        return self._count - self.queued

    def cancel(self, id_: str) -> None:
        self.cancelled.append(id_)
        super().cancel(id_)


class Halves:
    """Two examples, then the other two, unless the first were worse than the threshold."""

    def __init__(self, threshold: float = 0.75, told: bool = False) -> None:
        self._threshold, self._told = threshold, told

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        if not isinstance(so_far, Report):
            return Stage(examples=FIRST)
        value = so_far.tasks["sphere"].value
        if so_far.places is None:
            return Finished()
        if value < self._threshold:
            return Stopped((value,) if self._told else None)
        return Stage(examples=REST)


class Rungs:
    """Of three candidates in a row, the one with the best first half gets the other half."""

    remembers = True

    def __init__(self) -> None:
        self._firsts: dict[int, float] = {}

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        number = candidate.number
        if so_far is None:
            return Stage(examples=FIRST)
        if isinstance(so_far, Failure):
            self._firsts[number] = -1.0
            return Stopped()
        if so_far.places is None:
            return Finished()
        self._firsts[number] = so_far.tasks["sphere"].value
        rung = range(number - number % 3, number - number % 3 + 3)
        if not all(other in self._firsts for other in rung):
            return Paused()
        best = max(rung, key=lambda other: self._firsts[other])
        return Stage(examples=REST) if number == best else Stopped((self._firsts[number],))


def saving(kind: str) -> Schedule:
    """One of the schedules of a job, over the four examples."""
    config = SCHEDULES.config({"kind": kind, "least": 1} | ({"eta": 2} if kind != "racing" else {}))
    objective = Objective({"sphere": 1.0})
    made: Schedule = SCHEDULES.make(config, sizes=SIZES, seed=0, objective=objective)
    return made


def staged(
    folder: Path, schedule: Schedule | None, *, candidates: int | None = 15, **more: Any
) -> Study:
    """The study of a search on four examples; it is closed where the search ends otherwise."""
    more.setdefault("executor", Workers())
    study = more.pop("study", None) or open_study(folder)
    try:
        return search(
            folder, candidates=candidates, schedule=schedule, sizes=SIZES, study=study, **more
        )
    except BaseException:
        study.close()
        raise


def record(folder: Path) -> list[Any]:
    """What a study holds, as far as a kill may not change it."""
    with Study.open(folder, write=False) as study:
        study.events()
        return [
            (
                c.number,
                c.proposed_by,
                c.label,
                c.genome,
                c.state,
                [(stage.part, stage.scored) for stage in c.stages],
                c.fitness,
                c.partial,
                c.why,
                c.tasks,
                c.failure,
                c.attempts > 0,
            )
            for c in study.candidates()
        ]
