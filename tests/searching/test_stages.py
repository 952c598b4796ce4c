"""Stages: what a schedule may ask of a search, and what the record says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Task, TaskResult
from evomerge.errors import RecordError, UserError
from evomerge.evaluators.base import Failure, Outcome, Report, Split, TokenCount
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.optimizers.base import Optimizer, Result
from evomerge.searching.schedule import Decision, Finished, Paused, Stage, Stopped
from evomerge.study.candidate import Candidate
from evomerge.study.examples import part_name
from evomerge.study.lending import Lenders
from evomerge.study.record import Study
from tests.searching.staged import (
    FIRST,
    REST,
    Graded,
    Halves,
    Killed,
    Rungs,
    Steps,
    Workers,
    record,
    staged,
)
from tests.sphere import make_optimizer, open_study, search


def test_candidates_below_the_threshold_are_stopped_after_the_first_half(tmp_path: Path) -> None:
    executor = Workers()
    with staged(tmp_path / "s", Halves(), executor=executor) as study:
        candidates = study.candidates()
    assert len(candidates) == 15, "a candidate counts once, however many its stages"
    states = Counter(candidate.state for candidate in candidates)
    assert states["stopped"] > 2
    assert states["done"] > 2
    assert states["failed"] > 0
    assert states.total() == states["stopped"] + states["done"] + states["failed"]
    asked = Counter(name for name, _ in executor.asked)
    for candidate in candidates:
        match candidate.state:
            case "stopped":
                assert [stage.part for stage in candidate.stages] == [part_name(FIRST)]
                assert candidate.tasks["sphere"] < 0.75
                assert (candidate.fitness, candidate.partial, candidate.failure) == (None,) * 3
                assert asked[candidate.digest] == 1
            case "done":
                assert [stage.scored for stage in candidate.stages] == [2, 4]
                assert candidate.fitness == (candidate.tasks["sphere"],)
                assert asked[candidate.digest] == 2, "a stage on record is not evaluated again"
                assert candidate.attempts in (0, 2)
    assert {candidate.state for candidate in study.best(15)} == {"done"}


def test_stages_joined_are_what_the_whole_is(tmp_path: Path) -> None:
    staged(tmp_path / "halves", Halves(threshold=0.0)).close()
    search(tmp_path / "whole", candidates=15, executor=Workers()).close()
    both = []
    for name in ("halves", "whole"):
        with Study.open(tmp_path / name, write=False) as study:
            both.append(
                [
                    (c.genome, c.fitness, study.reports.load(c.digest, "e" * 64, "search"))
                    for c in study.candidates()
                ]
            )
    for (genome, fitness, joined), (other, of_whole, report) in zip(*both, strict=True):
        assert (genome, fitness) == (other, of_whole)
        assert (joined and joined.tasks) == (report and report.tasks)
        assert joined is None or joined.places is None


def test_optuna_shows_stages_as_intermediate_values(tmp_path: Path) -> None:
    with staged(tmp_path / "s", Halves()) as study:
        candidates = study.candidates()
    import optuna
    from optuna.storages.journal import JournalFileBackend

    backend = JournalFileBackend(str(tmp_path / "s" / "journal.log"))
    shown = optuna.load_study(study_name="sphere", storage=optuna.storages.JournalStorage(backend))
    for trial, candidate in zip(shown.trials, candidates, strict=True):
        match candidate.state:
            case "stopped":
                assert trial.state.name == "PRUNED"
                assert trial.intermediate_values == {2: candidate.tasks["sphere"]}
            case "done":
                assert trial.state.name == "COMPLETE"
                assert list(trial.intermediate_values) == [2, 4]
                assert trial.intermediate_values[4] == trial.value


class Listening:
    """An optimizer, and what it was told."""

    def __init__(self, inner: Optimizer) -> None:
        self.inner, self.told = inner, dict[int, Result]()
        self.ask, self.observe, self.recommend = inner.ask, inner.observe, inner.recommend

    def tell(self, results: Sequence[Result]) -> None:
        self.told |= {result.id: result for result in results}
        self.inner.tell(results)


@pytest.mark.parametrize("told", [False, True])
def test_a_stopped_candidate_has_failed_unless_the_schedule_gives_a_fitness(
    tmp_path: Path, told: bool
) -> None:
    optimizer = Listening(make_optimizer("genetic"))
    with staged(tmp_path / "s", Halves(told=told), optimizer=optimizer) as study:
        stopped = [c for c in study.candidates() if c.state == "stopped"]
    asked = [c for c in stopped if c.proposal is not None]
    assert asked
    for candidate in asked:
        assert candidate.proposal is not None
        expected = (candidate.tasks["sphere"],) if told else None
        assert optimizer.told[candidate.proposal].fitness == candidate.partial == expected


def test_what_a_stopped_candidate_misses_is_on_record_and_told(tmp_path: Path) -> None:
    optimizer = Listening(make_optimizer("genetic"))
    kept = Objective({"sphere": 1.0}, ObjectiveConfig(constraints=("sphere >= 0.9",)))
    more: dict[str, Any] = {"optimizer": optimizer, "objective": kept}
    with staged(tmp_path / "s", Halves(told=True), **more) as study:
        stopped = [c for c in study.candidates() if c.state == "stopped" and c.proposal is not None]
    assert stopped
    for candidate in stopped:
        assert candidate.proposal is not None
        told = optimizer.told[candidate.proposal].violations
        missed = (0.9 - candidate.tasks["sphere"]) / 0.9
        assert told == candidate.violations == pytest.approx((missed,))


def test_an_optimizer_that_goes_by_examples_hears_that_a_stopped_candidate_failed(
    tmp_path: Path,
) -> None:
    niches = make_optimizer("natural_niches", archive=8)
    with staged(tmp_path / "s", Halves(0.95, told=True), optimizer=niches, candidates=30) as study:
        stopped = {c.proposal for c in study.candidates() if c.state == "stopped"}
        done = {c.proposal for c in study.candidates() if c.state == "done"}
    kept: Any = niches
    members = {member.id for member in kept.archive.members if member.id >= 0}
    assert stopped
    assert members <= done


@pytest.mark.parametrize("workers", [1, 2])
def test_a_paused_candidate_waits_for_the_others_and_is_taken_up(
    tmp_path: Path, workers: int
) -> None:
    executor = Workers(workers)
    with staged(tmp_path / "s", Rungs(), executor=executor) as study:
        candidates = study.candidates()
    for first in range(0, 15, 3):
        rung = candidates[first : first + 3]
        went_on = [c for c in rung if len(c.stages) == 2]
        assert [c.state for c in went_on] == ["done"]
        assert went_on[0].stages[1].ended > max(c.stages[0].ended for c in rung if c.stages)
        assert {c.state for c in rung} <= {"done", "stopped", "failed"}


def test_paused_is_a_state_on_record(tmp_path: Path) -> None:
    executor = Workers(steps=Steps(kill_at=1))
    with pytest.raises(Killed):
        staged(tmp_path / "s", Rungs(), executor=executor)
    with Study.open(tmp_path / "s", write=False) as study:
        assert [candidate.state for candidate in study.candidates()] == ["paused", "running"]
        assert [candidate.number for candidate in study.unfinished()] == [0, 1]


class Says:
    """Answers as the test says."""

    def __init__(self, answer: Callable[[Candidate, Outcome | None], Decision]) -> None:
        self._answer = answer

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        return self._answer(candidate, so_far)


@pytest.mark.parametrize(
    ("answer", "law"),
    [
        (lambda c, so_far: Stage(examples=FIRST), "asks for a stage that it has had"),
        (lambda c, so_far: Stage(), "asks for a stage that it has had"),
        (lambda c, so_far: Finished(), "has no stage for it"),
        (lambda c, so_far: Paused(), "lets 3 candidates wait, and nothing is left to do"),
    ],
    ids=["part twice", "whole twice", "nothing", "for ever"],
)
def test_a_schedule_that_breaks_a_law_is_named(
    tmp_path: Path, answer: Callable[[Candidate, Outcome | None], Decision], law: str
) -> None:
    with pytest.raises(UserError, match=law):
        staged(tmp_path / "s", Says(answer))


def test_the_budget_may_end_with_candidates_that_wait(tmp_path: Path) -> None:
    def answer(candidate: Candidate, so_far: Outcome | None) -> Decision:
        if candidate.number == 4:
            return Paused()
        return Finished() if so_far else Stage()

    with staged(tmp_path / "s", Says(answer), candidates=5) as study:
        states = [candidate.state for candidate in study.candidates()]
    assert states[4] == "paused"
    assert "paused" not in states[:4]


def test_other_examples_than_were_asked_for_are_refused(tmp_path: Path) -> None:
    class Stubborn(Workers):
        def submit(self, task: Task) -> None:
            super().submit(Task(task.id, task.recipe, task.split))

    with pytest.raises(UserError, match=r"2 examples .* scored all examples"):
        staged(tmp_path / "s", Halves(), executor=Stubborn())


def test_parts_of_what_is_no_mean_cannot_be_joined(tmp_path: Path) -> None:
    class Skewed(Workers):
        def wait(self, timeout_s: float) -> list[TaskResult]:
            results = super().wait(timeout_s)
            for result in results:
                if isinstance(result.outcome, Report):
                    score = result.outcome.tasks["sphere"]
                    tasks = {"sphere": score.model_copy(update={"value": 0.9})}
                    outcome = result.outcome.model_copy(update={"tasks": tasks})
                    return [TaskResult(result.id, outcome, result.worker, result.attempts)]
            return results

    with pytest.raises(UserError, match=r"candidate 0: .* cannot be joined; take \{schedule"):
        staged(tmp_path / "s", Halves(), executor=Skewed())


def test_the_report_of_a_recorded_stage_that_has_gone_stops_the_search(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        staged(tmp_path / "s", Halves(), executor=Workers(steps=Steps(kill_at=1)))
    for path in (tmp_path / "s" / "examples").iterdir():
        path.unlink()
    with pytest.raises(RecordError, match="candidate 0: its scores are no longer in"):
        staged(tmp_path / "s", Halves())


def test_a_candidate_under_way_that_others_beat_is_cancelled_and_stopped(tmp_path: Path) -> None:
    class FirstWins:
        """As soon as a report is in, everyone else is stopped."""

        remembers = True

        def __init__(self) -> None:
            self._winner: int | None = None

        def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
            if isinstance(so_far, Report) and self._winner is None:
                self._winner = candidate.number
            if so_far is None:
                return Stage() if self._winner is None else Stopped()
            return Finished()

    executor = Workers(3)
    with staged(tmp_path / "s", FirstWins(), executor=executor, candidates=3) as study:
        candidates = study.candidates()
    assert [candidate.state for candidate in candidates] == ["done", "stopped", "stopped"]
    assert executor.cancelled == ["1", "2"]
    assert len(executor.asked) == 1
    # Evaluations that were begun and given up count in a budget.
    assert [candidate.attempts for candidate in candidates] == [1, 1, 1]


def test_an_evaluation_that_a_driver_did_not_survive_counts_when_the_next_one_stops(
    tmp_path: Path,
) -> None:
    class Stops:
        remembers = False

        def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
            return Stopped()

    with pytest.raises(Killed):
        staged(tmp_path / "s", Halves(), executor=Workers(2, steps=Steps(kill_at=0)), candidates=3)
    with Study.open(tmp_path / "s", write=True) as study:
        begun = {candidate.number for candidate in study.unfinished()}
        for number in begun:
            study.begin(number, 0, 1)  # as a driver that is killed leaves it
    assert begun
    with staged(tmp_path / "s", Stops(), candidates=3) as study:
        counted = {candidate.number: candidate.attempts for candidate in study.candidates()}
    assert counted == {number: int(number in begun) for number in counted}
    assert len(counted) == 3


def test_results_that_come_late_or_twice_are_ignored(tmp_path: Path) -> None:
    class Stammering(Workers):
        def wait(self, timeout_s: float) -> list[TaskResult]:
            results = super().wait(timeout_s)
            late = TaskResult("77", Failure(cause="candidate", message="never asked"), "w", 1)
            return [*results, *results, late]

    staged(tmp_path / "once", Halves()).close()
    staged(tmp_path / "twice", Halves(), executor=Stammering()).close()
    assert record(tmp_path / "twice") == record(tmp_path / "once")


def test_a_failure_in_a_later_stage_fails_the_candidate(tmp_path: Path) -> None:
    class Fails(Workers):
        def wait(self, timeout_s: float) -> list[TaskResult]:
            failure = Failure(cause="candidate", message="too slow")
            return [
                # The first candidate is sound: were none, the search would stop.
                TaskResult(r.id, failure, r.worker, r.attempts)
                if "." in r.id and not r.id.startswith("0.")
                else r
                for r in super().wait(timeout_s)
            ]

    with staged(tmp_path / "s", Halves(0.0), executor=Fails()) as study:
        candidates = study.candidates()
    first = candidates[0].digest
    late = [one for one in candidates if one.stages and one.digest != first]
    assert late
    for candidate in late:
        assert candidate.state == "failed"
        assert candidate.failure == Failure(cause="candidate", message="too slow")
        assert (candidate.fitness, candidate.tasks) == (None, {})
    assert max(candidate.attempts for candidate in late) == 2


def test_a_recipe_that_was_scored_on_everything_is_not_asked_parts_of_it(tmp_path: Path) -> None:
    def answer(candidate: Candidate, so_far: Outcome | None) -> Decision:
        if candidate.number == 0:
            return Finished() if so_far else Stage()
        return Stage(examples=FIRST) if so_far is None else Stopped()

    executor, same = Workers(), {"one": (0.2, 0.4), "again": (0.2, 0.4)}
    more: dict[str, Any] = {"landmarks": same, "candidates": 2}
    with staged(tmp_path / "s", Says(answer), executor=executor, **more) as study:
        first, second = study.candidates()
    assert len(executor.asked) == 1
    assert (first.state, second.state, second.attempts) == ("done", "stopped", 0)
    assert second.tasks["sphere"] != first.tasks["sphere"]


class Metered(Graded):
    """As the other, and counts ten tokens for an example."""

    def score(self, task: Task) -> Outcome:
        outcome = super().score(task)
        if isinstance(outcome, Report):
            read = 10 * len(outcome.tasks["sphere"].examples)
            return outcome.model_copy(update={"tokens": TokenCount(read=read, generated=0)})
        return outcome


def test_a_whole_report_is_not_replaced_by_its_own_parts_on_which_nothing_was_spent(
    tmp_path: Path,
) -> None:
    def answer(candidate: Candidate, so_far: Outcome | None) -> Decision:
        if candidate.number == 0:
            return Finished() if so_far else Stage()
        if not isinstance(so_far, Report):
            return Stage(examples=FIRST)
        return Finished() if so_far.places is None else Stage(examples=REST)

    executor, same = Workers(kind=Metered), {"one": (0.2, 0.4), "again": (0.2, 0.4)}
    more: dict[str, Any] = {"landmarks": same, "candidates": 2}
    with staged(tmp_path / "s", Says(answer), executor=executor, **more) as study:
        first, second = study.candidates()
        whole = study.reports.load(first.digest, "e" * 64, "search")
    assert (len(executor.asked), second.attempts) == (1, 0)
    assert second.fitness == first.fitness
    assert whole is not None
    assert whole.tokens == TokenCount(read=40, generated=0)


class Weighing(Graded):
    """As the other, and says with which weights."""

    def score(self, task: Task) -> Outcome:
        outcome = super().score(task)
        if isinstance(outcome, Report):
            return outcome.model_copy(update={"weights": "later"})
        return outcome


def lent_to(study: Study, folder: Path) -> Study:
    """A study that takes what another one has scored."""
    study.reports.borrow(Lenders([folder], {}, {}))
    return study


def outcomes(study: Study) -> list[Any]:
    reports = study.reports
    return [
        (c.genome, c.fitness, known and (known.tasks, known.places))
        for c in study.candidates()
        for known in [reports.load(c.digest, "e" * 64, "search")]
    ]


def test_examples_that_a_recipe_was_scored_on_are_not_asked_again(tmp_path: Path) -> None:
    staged(tmp_path / "halves", Halves(), optimizer=make_optimizer("random")).close()
    staged(tmp_path / "alone", None, optimizer=make_optimizer("random")).close()
    with Study.open(tmp_path / "halves", write=False) as study:
        before = {candidate.digest: candidate for candidate in study.candidates()}
    asked = Workers()
    borrowing = lent_to(open_study(tmp_path / "second"), tmp_path / "halves")
    staged(
        tmp_path / "second",
        None,
        optimizer=make_optimizer("random"),
        executor=asked,
        study=borrowing,
    ).close()
    with (
        Study.open(tmp_path / "second", write=False) as made,
        Study.open(tmp_path / "alone", write=False) as alone,
    ):
        assert outcomes(made) == outcomes(alone)
    wanted = dict(asked.asked)
    states = Counter(candidate.state for candidate in before.values())
    assert states["done"] > 2
    assert states["stopped"] > 2
    for name, candidate in before.items():
        match candidate.state:
            case "done":
                assert name not in wanted
            case "stopped":
                assert wanted[name] == REST, "the other half is all that is missing"
            case _:
                assert wanted[name] is None


def test_a_part_is_put_together_of_other_parts(tmp_path: Path) -> None:
    class Thirds:
        def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
            if not isinstance(so_far, Report):
                return Stage(examples={"sphere": (0, 1, 2)})
            return Finished()

    staged(tmp_path / "halves", Halves(), optimizer=make_optimizer("random")).close()
    with Study.open(tmp_path / "halves", write=False) as study:
        before = {c.digest: c.state for c in study.candidates()}
    asked = Workers()
    borrowing = lent_to(open_study(tmp_path / "thirds"), tmp_path / "halves")
    with staged(
        tmp_path / "thirds",
        Thirds(),
        optimizer=make_optimizer("random"),
        executor=asked,
        study=borrowing,
    ) as second:
        whole = second.candidates()
    wanted = dict(asked.asked)
    assert {candidate.digest for candidate in whole} == set(before)
    for candidate in whole:
        match before[candidate.digest]:
            case "done":
                assert candidate.digest not in wanted
            case "stopped":
                assert wanted[candidate.digest] == {"sphere": (1,)}
        if candidate.fitness is not None:
            assert [stage.scored for stage in candidate.stages] == [3]


@pytest.mark.parametrize("kill_at", [3, 8])
def test_a_search_that_takes_parts_goes_on_as_if_it_had_not_been_killed(
    tmp_path: Path, kill_at: int
) -> None:
    staged(tmp_path / "halves", Halves()).close()
    borrowing = lent_to(open_study(tmp_path / "one"), tmp_path / "halves")
    staged(tmp_path / "one", None, study=borrowing).close()
    killed = lent_to(open_study(tmp_path / "two"), tmp_path / "halves")
    with pytest.raises(Killed):
        staged(tmp_path / "two", None, study=killed, executor=Workers(steps=Steps(kill_at)))
    again = lent_to(Study.open(tmp_path / "two", write=True), tmp_path / "halves")
    staged(tmp_path / "two", None, study=again).close()
    assert record(tmp_path / "one") == record(tmp_path / "two")


def test_parts_of_other_weights_are_asked_for_again(tmp_path: Path) -> None:
    staged(tmp_path / "halves", Halves(), optimizer=make_optimizer("random")).close()

    class Other(Lenders):
        def parts(self, digest: str, evaluator: str, split: Split) -> list[Report]:
            found = super().parts(digest, evaluator, split)
            return [report.model_copy(update={"weights": "earlier"}) for report in found]

        def load(
            self, digest: str, evaluator: str, split: Split, part: str | None = None
        ) -> Report | None:
            return None

    borrowing = open_study(tmp_path / "second")
    borrowing.reports.borrow(Other([tmp_path / "halves"], {}, {}))
    asked = Workers(kind=Weighing)
    with staged(
        tmp_path / "second",
        None,
        optimizer=make_optimizer("random"),
        executor=asked,
        study=borrowing,
    ) as second:
        scored = [candidate for candidate in second.candidates() if candidate.fitness]
    parts = [name for name, examples in asked.asked if examples is not None]
    assert len(parts) > 2
    assert all((name, None) in asked.asked for name in parts)
    assert {candidate.attempts for candidate in scored if candidate.digest in parts} <= {0, 2}
