"""Candidates scored on a few examples, their fitness estimated from these."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.errors import ConfigError, UserError
from evomerge.evaluators.base import Failure, Outcome, Report, Selection, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.optimizers.base import Fitness
from evomerge.recipe.tree import Merge
from evomerge.searching.progress import Progress
from evomerge.searching.schedule import Finished, Stage, Stopped, remembers
from evomerge.searching.schedules.estimated import Estimated
from evomerge.searching.schedules.estimated_config import EstimatedConfig
from evomerge.searching.spending import Spending
from evomerge.searching.tally import Tally
from evomerge.simulation import Scenario, draw_faults, play
from evomerge.simulation.scores import SIZES as SIMULATED
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.value import parse
from tests.candidates import candidate
from tests.searching.staged import Killed, Steps, Stepwise, record
from tests.sphere import BEST, make_optimizer, open_study, search

SIZE = 120
RNG = np.random.default_rng(3)
STEEP, HARD, LUCK = RNG.uniform(0.6, 2, SIZE), RNG.normal(0, 1.5, SIZE), RNG.random(SIZE)


class Pupil(Stepwise):
    """Answers as a model whose ability falls with the distance from the best weights."""

    def score(self, task: Task) -> Outcome:
        assert isinstance(task.recipe, Merge)
        weights = {name: float(one["weight"]) for name, one in task.recipe.rules[0].inputs.items()}
        ability = 2 - 6 * sum((weights[name] - BEST[name]) ** 2 for name in BEST)
        right = 1 / (1 + np.exp(-STEEP * (ability - HARD))) > LUCK
        places = range(SIZE) if task.examples is None else task.examples["sphere"]
        score = TaskScore.averaged("right", right[list(places)].astype(float).tolist())
        return Report(split=task.split, tasks={"sphere": score}, places=task.examples)


class Class(InProcess):
    """One worker; knows what was asked."""

    def __init__(self, steps: Steps | None = None) -> None:
        self.asked: list[tuple[str, Selection | None]] = []
        super().__init__(partial(Pupil, self.asked, steps or Steps()))

    @property
    def examples(self) -> int:
        return sum(SIZE if part is None else len(part["sphere"]) for _, part in self.asked)


def made(**settings: Any) -> Estimated:
    config = parse(EstimatedConfig, settings, origin="schedule")
    objective = Objective({"sphere": 1.0})
    return Estimated(config, sizes={"sphere": SIZE}, seed=1, objective=objective)


def estimated(
    folder: Path,
    executor: Class,
    *,
    candidates: int = 40,
    tell: Callable[[Progress], None] = lambda progress: None,
    **settings: Any,
) -> Study:
    study = open_study(folder)
    try:
        return search(
            folder,
            tell=tell,
            candidates=candidates,
            schedule=made(**settings),
            sizes={"sphere": SIZE},
            study=study,
            executor=executor,
            optimizer=make_optimizer("random"),
        )
    except BaseException:
        study.close()
        raise


@pytest.mark.parametrize("estimator", ["anchors", "p_irt", "gp_irt", "mp_irt", "gmp_irt"])
def test_the_best_is_scored_whole_and_most_are_not(tmp_path: Path, estimator: str) -> None:
    executor, told = Class(), list[Progress]()
    settings: dict[str, Any] = {"estimator": estimator, "doubt": 2.0, "tell": told.append}
    with estimated(tmp_path / "s", executor, **settings) as study:
        every, best = study.candidates(), study.best(1)[0]
    assert best.estimated is None
    said = f"{executor.examples:,} of 4,800 examples"
    assert told[-1].spent == Tally(every).spent == Spending(every).said == said
    assert executor.examples < 0.6 * 40 * SIZE
    candidates, again = every[:40], every[40:]
    assert all(one.proposed_by == "finalist" for one in again)
    assert {one.digest for one in again} < {one.digest for one in candidates if one.estimated}
    asked = [(name, part and tuple(part["sphere"])) for name, part in executor.asked]
    assert len(set(asked)) == len(asked), "no part is asked twice"
    guesses = [one for one in candidates if one.estimated is not None]
    assert len(guesses) > 15
    assert all(one.state == "done" for one in candidates)
    whole = [one for one in candidates if one.estimated is None]
    assert {one.number for one in whole} >= set(range(5)), "landmarks and the first questions"
    truth = {one.number: truth_of(one) for one in guesses}
    off = [abs(one.fitness[0] - truth[one.number]) for one in guesses if one.fitness]
    assert np.mean(off) < 0.2, "unlucky ones are given up sooner than lucky ones"
    assert max(one.fitness for one in guesses if one.fitness) <= (best.fitness or ())
    assert max(truth.values()) <= (best.fitness or (0,))[0]


def truth_of(one: Candidate) -> float:
    weights = {name.split(".")[0]: value for name, value in one.values.items()}
    ability = 2 - 6 * sum((float(weights[name]) - BEST[name]) ** 2 for name in BEST)
    return float(np.mean(1 / (1 + np.exp(-STEEP * (ability - HARD))) > LUCK))


@pytest.mark.parametrize(
    "settings", [{"anchors": "clusters"}, {"estimator": "p_irt", "anchors": "adaptive"}]
)
def test_a_killed_search_goes_on_as_if_nothing_had_been(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    settings |= {"examples": 12}
    estimated(tmp_path / "all", steps := Class(), candidates=16, **settings).close()
    for kill_at in (2, 6, 9, 14):
        folder = tmp_path / f"{kill_at}"
        with pytest.raises(Killed):
            estimated(folder, Class(Steps(kill_at)), candidates=16, **settings)
        rest = Class()
        estimated(folder, rest, candidates=16, **settings).close()
        assert record(folder) == record(tmp_path / "all")
        assert kill_at + len(rest.asked) == len(steps.asked), "no stage is evaluated again"


def test_an_estimate_is_marked_on_record_and_for_the_dashboard(tmp_path: Path) -> None:
    with estimated(tmp_path / "s", Class(), examples=12) as study:
        one = next(c for c in study.candidates() if c.estimated)
    assert one.estimated is not None
    assert one.fitness is not None
    assert 0 < one.estimated[0] < 0.3
    assert one.stages[-1].scored in (12, 24, 48)
    assert one.tasks["sphere"] != one.fitness[0], "what was scored stays beside what is estimated"
    assert f'"estimated":[{one.estimated[0]}' in (
        tmp_path / "s" / "journal.log"
    ).read_text().replace(" ", "")


def test_it_decides_once() -> None:
    schedule = made(examples=12, whole_first=0, whole_every=0, estimator="anchors")
    assert remembers(schedule)
    landmark = candidate(0, proposed_by="landmark", proposal=None)
    assert schedule.next(landmark, None) == Stage()
    report = Report(split="search", tasks={"sphere": TaskScore.averaged("right", [0.5] * SIZE)})
    assert schedule.next(landmark, report) == Finished()
    asked = candidate(1, proposal=0)
    stage = schedule.next(asked, None)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    assert len(stage.examples["sphere"]) == 12
    part = TaskScore.averaged("right", [0.0] * 12)
    poor = Report(split="search", tasks={"sphere": part}, places=stage.examples)
    answer = schedule.next(asked, poor)
    assert isinstance(answer, Finished)
    assert answer.estimate is not None
    assert answer.estimate.fitness == (0.0,)
    assert answer.estimate.errors[0] > 0.05, "twelve wrong answers do not make all wrong for sure"
    good = poor.model_copy(update={"tasks": {"sphere": TaskScore.averaged("right", [1.0] * 12)}})
    assert schedule.next(asked, good) == answer
    more = schedule.next(candidate(2, proposal=1), good)
    assert isinstance(more, Stage)
    assert more.examples is not None
    assert len(more.examples["sphere"]) == 12
    assert not set(more.examples["sphere"]) & set(stage.examples["sphere"])
    assert schedule.next(asked, Failure(cause="candidate", message="no")) == Finished()


@pytest.mark.parametrize(
    ("settings", "first"), [({}, 12), ({"estimator": "p_irt", "anchors": "adaptive"}, 6)]
)
def test_degenerate_candidates_end_after_their_first_stage(
    settings: dict[str, Any], first: int
) -> None:
    schedule = made(examples=12, whole_first=0, **{"estimator": "anchors"} | settings)
    lenient = made(
        examples=12, whole_first=0, degenerate=False, **{"estimator": "anchors"} | settings
    )
    whole = Report(split="search", tasks={"sphere": TaskScore.averaged("right", [0.5] * SIZE)})
    for number in range(4):
        landmark = candidate(number, proposed_by="landmark", proposal=None)
        for one in (schedule, lenient):
            one.next(landmark, whole.model_copy(update={"silent": 1.0}))
    asked, other = candidate(4, digest="a", proposal=0), candidate(5, digest="b", proposal=1)
    stage = schedule.next(asked, None)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    assert len(stage.examples["sphere"]) == first
    part = TaskScore.averaged("right", [0.0] * first)
    said: dict[str, Any] = {"silent": 0.7, "repeating": 0.25}
    empty = Report(split="search", tasks={"sphere": part}, places=stage.examples, **said)
    ended = schedule.next(asked, empty)
    assert isinstance(ended, Stopped)
    assert (
        ended.why == f"after {first} of 120 examples: 95% of its first answers are empty or repeat"
    )
    assert ended.fitness is not None
    assert ended.fitness[0] < 0.5
    assert schedule.again() is None, "one that was stopped is not asked again"
    assert lenient.next(asked, None) == stage
    assert not isinstance(lenient.next(asked, empty), Stopped)
    well = schedule.next(other, empty.model_copy(update={"silent": 0.5}))
    assert not isinstance(well, Stopped)
    places = {"sphere": tuple(range(24))}
    tasks = {"sphere": TaskScore.averaged("right", [0.0] * 24)}
    later = empty.model_copy(update={"tasks": tasks, "places": places})
    assert not isinstance(schedule.next(other, later), Stopped), "its first stage is past"


def test_a_task_where_lower_is_better_counts_against() -> None:
    config = parse(
        EstimatedConfig,
        {"examples": 4, "estimator": "anchors", "whole_first": 0},
        origin="schedule",
    )
    objective = Objective({"a": 3.0, "b": 1.0})
    schedule = Estimated(config, sizes={"a": 30, "b": 10}, seed=1, objective=objective)
    low = TaskScore.averaged("loss", [0.0] * 10, higher_is_better=False)
    best = Report(split="search", tasks={"a": TaskScore.averaged("x", [1.0] * 30), "b": low})
    schedule.next(candidate(0, proposed_by="landmark", proposal=None), best)
    stage = schedule.next(candidate(1, proposal=0), None)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    assert {task: len(places) for task, places in stage.examples.items()} == {"a": 3, "b": 1}
    tasks = {
        "a": TaskScore.averaged("x", [1.0] * 3),
        "b": TaskScore.averaged("loss", [1.0], higher_is_better=False),
    }
    part = Report(split="search", tasks=tasks, places=stage.examples)
    answer = schedule.next(candidate(1, proposal=0), part)
    assert isinstance(answer, Finished)
    assert answer.estimate is not None
    assert answer.estimate.fitness == pytest.approx((0.75 - 0.25,))


def test_what_cannot_be_estimated_is_refused() -> None:
    with pytest.raises(ConfigError, match="adaptive ones are chosen by how a candidate answers"):
        made(anchors="adaptive")
    with pytest.raises(ConfigError, match="how many search examples the task 'sphere' has"):
        Estimated(EstimatedConfig(), sizes={}, seed=1, objective=Objective({"sphere": 1.0}))
    landmark = candidate(0, proposed_by="landmark", proposal=None)
    loss = Report(split="search", tasks={"sphere": TaskScore.averaged("loss", [2.5] * SIZE)})
    with pytest.raises(UserError, match=r"goes by scores from 0 to 1, and its loss .* 2\.5"):
        made().next(landmark, loss)
    assert made(estimator="anchors").next(landmark, loss) == Finished()
    heavy = TaskScore.averaged("bits", [0.5] * SIZE).model_copy(update={"weights": (1.0,) * SIZE})
    with pytest.raises(UserError, match="no plain mean of its examples' scores"):
        made().next(landmark, loss.model_copy(update={"tasks": {"sphere": heavy}}))
    score = TaskScore.averaged("f1", [0.5] * SIZE).model_copy(update={"value": 0.7})
    with pytest.raises(UserError, match="its f1 is no plain mean of its examples' scores"):
        made().next(landmark, loss.model_copy(update={"tasks": {"sphere": score}}))


def test_it_keeps_the_laws_where_drivers_are_killed_and_workers_die() -> None:
    objective = Objective({"sums": 1.0, "words": 2.0})

    def make() -> Estimated:
        config = parse(EstimatedConfig, {"estimator": "gp_irt", "examples": 3}, origin="schedule")
        return Estimated(config, sizes=SIMULATED, seed=1, objective=objective)

    for seed in range(12):
        scenario = Scenario(seed=seed, make_schedule=make, tells_estimates=True)
        assert play(scenario, draw_faults(seed)).broken is None, seed


class Compared(float):
    """A number, of which every comparison counts."""

    times = 0

    def __ge__(self, other: float) -> bool:
        Compared.times += 1
        return float(self) >= float(other)


class Comparing(Objective):
    """Counts what fitness is compared with."""

    def __call__(self, report: Report) -> Fitness:
        return tuple(map(Compared, super().__call__(report)))


def test_a_candidate_costs_the_same_however_many_were_scored_whole() -> None:
    settings = {"estimator": "anchors", "whole_every": 2}
    config = parse(EstimatedConfig, settings, origin="schedule")
    schedule = Estimated(config, sizes={"sphere": SIZE}, seed=1, objective=Comparing({"sphere": 1}))
    costs, draws = [], np.random.default_rng(4)
    for number in range(400):
        asked = candidate(number, digest=f"{number}")
        stage = schedule.next(asked, None)
        assert isinstance(stage, Stage)
        size = SIZE if stage.examples is None else len(stage.examples["sphere"])
        score = TaskScore.averaged("right", draws.choice([0.0, 1.0], size).tolist())
        before = Compared.times
        schedule.next(asked, Report(split="search", tasks={"sphere": score}, places=stage.examples))
        costs.append(Compared.times - before)
    assert max(costs) == 2, "with the best alone: whether that is as good, or as bad"


def test_hopes_are_estimated_once_until_more_is_known() -> None:
    config = parse(EstimatedConfig, {"estimator": "anchors", "doubt": 10}, origin="schedule")
    asked: list[Report] = []

    class Heard(Objective):
        def __call__(self, report: Report) -> Fitness:
            asked.append(report)
            return super().__call__(report)

    schedule = Estimated(config, sizes={"sphere": SIZE}, seed=1, objective=Heard({"sphere": 1.0}))
    whole = Report(split="search", tasks={"sphere": TaskScore.averaged("right", [0.9] * SIZE)})
    for number in range(2):
        schedule.next(candidate(number, proposed_by="landmark", proposal=None), whole)
    for number in range(2, 12):
        guessed = candidate(number, digest=f"{number}")
        stage = schedule.next(guessed, None)
        assert isinstance(stage, Stage)
        assert stage.examples is not None
        right = [float(place % 2) for place in range(len(stage.examples["sphere"]))]
        score = TaskScore.averaged("right", right)
        part = Report(split="search", tasks={"sphere": score}, places=stage.examples)
        assert isinstance(schedule.next(guessed, part), Finished)
    asked.clear()
    first = schedule.again()
    assert first is not None
    assert len(asked) == 10
    assert schedule.again() == first
    assert len(asked) == 10, "nothing was learned since"
    schedule.next(candidate(12, proposed_by="landmark", proposal=None), whole)
    schedule.again()
    assert len(asked) == 10 + 1 + 10


def two_tasks(**config: Any) -> tuple[Estimated, Report]:
    """A schedule over two tasks, one candidate of which is known, and the first part of another: it
    answers the half of task a, and all of task b."""
    settings = {"examples": 16, "estimator": "anchors", "whole_first": 0}
    objective = Objective({"a": 1.0, "b": 1.0}, ObjectiveConfig(**config))
    schedule = Estimated(
        parse(EstimatedConfig, settings, origin="schedule"),
        sizes={"a": SIZE, "b": SIZE},
        seed=1,
        objective=objective,
    )
    known = TaskScore.averaged("right", [1.0] * SIZE)
    landmark = candidate(0, proposed_by="landmark", proposal=None)
    whole = Report(split="search", tasks={"a": known, "b": known}, costs={"layers": 40.0})
    schedule.next(landmark, whole)
    stage = schedule.next(candidate(1), None)
    assert isinstance(stage, Stage)
    assert stage.examples is not None
    right = {
        "a": [float(at % 2) for at in range(len(stage.examples["a"]))],
        "b": [1.0] * len(stage.examples["b"]),
    }
    tasks = {task: TaskScore.averaged("right", scores) for task, scores in right.items()}
    part = Report(split="search", tasks=tasks, places=stage.examples, costs={"layers": 20.0})
    return schedule, part


def test_each_objective_has_its_own_error() -> None:
    fitness, errors = {}, {}
    for named in (("a", "b"), ("b", "layers"), ()):
        schedule, part = two_tasks(objectives=named)
        answer = schedule.next(candidate(1), part)
        if isinstance(answer, Finished) and answer.estimate is not None:
            fitness[named], errors[named] = answer.estimate.fitness, answer.estimate.errors
    assert fitness["a", "b"] == (0.5, 1.0)
    (first, second), (of_both,) = errors["a", "b"], errors[()]
    assert first > 0.1
    assert second > 0.05
    assert of_both < first
    assert ("b", "layers") not in errors, "as good as the best in one, and lighter: it goes on"
    schedule, part = two_tasks(combine="worst")
    answer = schedule.next(candidate(1), part)
    assert isinstance(answer, Finished)
    assert answer.estimate is not None
    assert (answer.estimate.fitness, answer.estimate.errors) == ((0.5,), (first,))


def test_nobody_is_beaten_by_one_that_breaks_a_constraint() -> None:
    schedule, part = two_tasks(constraints=("layers <= 50",))
    assert isinstance(schedule.next(candidate(1), part), Finished)
    schedule, part = two_tasks(constraints=("layers <= 30",))
    assert isinstance(schedule.next(candidate(1), part), Stage)


def test_a_finalist_of_an_earlier_version_ends_too() -> None:
    schedule, part = two_tasks()
    finalist = candidate(7, proposed_by="finalist", proposal=None, digest="other")
    assert schedule.next(finalist, None) == Stage()
    assert isinstance(schedule.next(finalist, part), Stage | Finished)
    tasks = {task: TaskScore.averaged("right", [1.0] * SIZE) for task in ("a", "b")}
    assert schedule.next(finalist, Report(split="search", tasks=tasks)) == Finished()
