from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Report
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.genome import FloatGene, Genome
from evomerge.recipe.tree import Merge
from evomerge.study.record import Study

FAILURE = Failure(cause="candidate", message="not finite")
Ask = Callable[[int], int]


def test_a_candidate_is_on_record_once_asked(
    study: Study, folder: Path, genome: Genome, recipe: Merge
) -> None:
    number = study.ask(proposed_by="landmark", label="uniform", genome=genome, recipe=recipe)
    with Study.open(folder, write=False) as reader:
        (candidate,) = reader.unfinished()
    assert (candidate.number, candidate.state, candidate.asked) == (number, "running", 0)
    assert candidate.genome == genome
    assert candidate.values == {"weight": 0.5, "rate": 10.0, "method": "ties"}
    assert candidate.recipe == plain(recipe)
    assert candidate.digest == digest(recipe)
    assert (candidate.proposed_by, candidate.label) == ("landmark", "uniform")


def test_a_report_closes_its_candidate(study: Study, ask: Ask, report: Report) -> None:
    assert study.tell(ask(0), report, (0.5,), worker="w1", attempts=2) == 1
    (candidate,) = study.candidates()
    assert (candidate.state, candidate.fitness, candidate.told) == ("done", (0.5,), 1)
    assert candidate.tasks == {"sums": 0.5}
    assert candidate.seconds == {"merge": 0.123, "evaluate": 2.0}
    assert (candidate.truncated, candidate.worker, candidate.attempts) == (0.25, "w1", 2)
    assert study.unfinished() == []


def test_a_failure_has_no_fitness(study: Study, ask: Ask) -> None:
    study.tell(ask(0), FAILURE, None, worker="w1")
    (candidate,) = study.candidates()
    assert (candidate.state, candidate.fitness, candidate.failure) == ("failed", None, FAILURE)
    assert study.best() == []


def test_telling_twice_or_unasked_changes_nothing(study: Study, ask: Ask, report: Report) -> None:
    study.tell(ask(0), report, (0.5,), worker="w1")
    before = study.candidates()
    with pytest.raises(RecordError, match="candidate 0 was told already"):
        study.tell(0, FAILURE, None, worker="w1")
    with pytest.raises(RecordError, match="candidate 1 was never asked"):
        study.tell(1, report, (0.5,), worker="w1")
    assert study.candidates() == before
    assert [event.kind for event in study.events()] == ["ask", "tell"]


@pytest.mark.parametrize("fitness", [None, (), (0.1, 0.2), (math.nan,), (math.inf,)])
def test_a_fitness_that_does_not_fit_is_refused(
    study: Study, ask: Ask, report: Report, fitness: tuple[float, ...] | None
) -> None:
    ask(0)
    with pytest.raises(ValueError, match="fitness"):
        study.tell(0, report, fitness, worker="w1")
    with pytest.raises(ValueError, match="a Failure cannot have the fitness"):
        study.tell(0, FAILURE, (0.0,), worker="w1")
    assert len(study.unfinished()) == 1


def test_a_question_goes_with_the_optimizer_only(
    study: Study, genome: Genome, recipe: Merge
) -> None:
    with pytest.raises(ValueError, match="do not go together"):
        study.ask(proposed_by="optimizer", genome=genome, recipe=recipe)
    with pytest.raises(ValueError, match="do not go together"):
        study.ask(proposed_by="landmark", proposal=0, genome=genome, recipe=recipe)
    with pytest.raises(ValueError, match="zip"):
        study.ask(proposed_by="landmark", genome=genome[:2], recipe=recipe)
    assert study.candidates() == []


def as_optunas(folder: Path) -> optuna.Study:
    """The record, opened by Optuna alone."""
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    )
    return optuna.load_study(study_name="small", storage=storage)


def test_stages_are_on_record_with_intermediate_values(
    study: Study, folder: Path, ask: Ask, report: Report
) -> None:
    ask(0)
    study.add_stage(0, part="a1", split="search", scored=2, fitness=(0.5,), worker="w1")
    study.add_stage(0, part="b2", split="search", scored=5, fitness=None, worker="w2", attempts=3)
    with Study.open(folder, write=False) as reader:
        (candidate,) = reader.unfinished()
    first, second = candidate.stages
    assert (first.part, first.split, first.scored, first.worker) == ("a1", "search", 2, "w1")
    assert (second.part, second.scored, second.worker) == ("b2", 5, "w2")
    assert [(stage.attempts, stage.ended) for stage in candidate.stages] == [(1, 1), (3, 2)]
    (trial,) = as_optunas(folder).trials
    assert trial.intermediate_values == {2: 0.5}
    study.tell(0, report, (0.5,), worker="w2")
    assert [(event.kind, event.stages) for event in study.events()] == [
        ("ask", 0), ("stage", 1), ("stage", 2), ("tell", 2),
    ]  # fmt: skip
    with pytest.raises(RecordError, match="candidate 0 was told already"):
        study.add_stage(0, part="c3", split="search", scored=6, fitness=None, worker="w1")
    with pytest.raises(RecordError, match="candidate 0 was told already"):
        study.pause(0)


def test_a_paused_candidate_is_unfinished_until_it_is_told(
    study: Study, ask: Ask, report: Report
) -> None:
    ask(0)
    study.pause(0)
    assert study.candidate(0).state == "paused"
    assert [candidate.number for candidate in study.unfinished()] == [0]
    study.pause(0, False)
    assert study.candidate(0).state == "running"
    study.pause(0)
    study.tell(0, report, (0.5,), worker="w1")
    assert study.candidate(0).state == "done"
    with pytest.raises(RecordError, match="candidate 1 was never asked"):
        study.candidate(1)


def test_a_stopped_candidate_has_no_fitness_but_maybe_a_partial_one(
    study: Study, ask: Ask, report: Report
) -> None:
    ask(0), ask(1), ask(2)
    assert study.stop(0, report, (0.25,), worker="w1", attempts=2) == 3
    study.stop(1, None, worker="cache", attempts=0)
    partly, early, _ = study.candidates()
    assert (partly.state, partly.fitness, partly.partial) == ("stopped", None, (0.25,))
    assert (partly.tasks, partly.attempts, partly.told) == ({"sums": 0.5}, 2, 3)
    assert (early.state, early.partial, early.tasks) == ("stopped", None, {})
    assert study.best() == []
    assert [candidate.number for candidate in study.unfinished()] == [2]
    for wrong in ((), (0.1, 0.2), (math.nan,)):
        with pytest.raises(ValueError, match="finite number"):
            study.stop(2, report, wrong, worker="w1")
    with pytest.raises(RecordError, match="candidate 0 was told already"):
        study.stop(0, report, worker="w1")


def test_the_order_goes_on_after_reopening(
    study: Study, folder: Path, ask: Ask, report: Report
) -> None:
    ask(0), ask(1)
    study.tell(1, report, (0.9,), worker="w1")
    study.close()
    with Study.open(folder, write=True) as again:
        again.tell(0, report, (0.1,), worker="w2")
        assert [(event.kind, event.candidate.number) for event in again.events()] == [
            ("ask", 0), ("ask", 1), ("tell", 1), ("tell", 0),
        ]  # fmt: skip
        assert [candidate.number for candidate in again.best(5)] == [1, 0]


def test_a_reader_follows_the_writer(study: Study, folder: Path, ask: Ask, report: Report) -> None:
    with Study.open(folder, write=False) as reader:
        ask(0)
        assert [one.state for one in reader.candidates()] == ["running"]
        study.tell(0, report, (0.5,), worker="w1")
        assert [one.state for one in reader.candidates()] == ["done"]


def test_a_reader_writes_nothing(
    study: Study, folder: Path, genome: Genome, recipe: Merge, report: Report
) -> None:
    study.close()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with Study.open(folder, write=False) as reader:
        for write in (
            lambda: reader.ask(proposed_by="landmark", genome=genome, recipe=recipe),
            lambda: reader.tell(0, FAILURE, None, worker="w1"),
            lambda: reader.put("key", 1),
            lambda: reader.reports.save("a", "b", report),
        ):
            with pytest.raises(RecordError, match="not open for writing"):
                write()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_is_put_is_kept(study: Study, folder: Path) -> None:
    study.put("kept", {"rows": [1]})
    study.put("kept", {"rows": [1, 2]})
    with Study.open(folder, write=False) as reader:
        assert reader.get("kept") == {"rows": [1, 2]}
        assert reader.get("nothing") is None


def test_a_database_keeps_the_same_record(
    tmp_path: Path, genome: Genome, recipe: Merge, report: Report
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    genes = (
        FloatGene(name="b", low=0.0, high=1.0),
        FloatGene(name="a", low=0.0, high=1.0),
    )
    with Study.create(
        tmp_path / "one", name="one", job={}, genes=genes, storage_url=url, objectives=("x", "y")
    ) as study:
        for proposal in range(2):
            study.ask(
                proposed_by="optimizer", proposal=proposal, genome=(0.1, 1 / 3), recipe=recipe
            )
        study.tell(1, report, (0.5, 0.25), worker="w1")
        study.put("key", [1])
    with Study.open(tmp_path / "one", write=True) as again:
        again.tell(0, FAILURE, None, worker="w1")
        first, second = again.candidates()
        assert first.failure == FAILURE
        assert second.fitness == (0.5, 0.25)
        assert list(second.values.items()) == [("b", 0.1), ("a", 1 / 3)]
        assert [event.kind for event in again.events()] == ["ask", "ask", "tell", "tell"]
        assert again.get("key") == [1]
    assert not (tmp_path / "one" / "journal.log").exists()


def test_optuna_opens_it_as_any_study(study: Study, folder: Path, ask: Ask, report: Report) -> None:
    for proposal, fitness in enumerate((0.25, 0.75)):
        study.tell(ask(proposal), report, (fitness,), worker="w1")
    loaded = as_optunas(folder)
    assert loaded.best_value == 0.75
    assert loaded.best_params == {"weight": 0.5, "rate": 10.0, "method": "ties"}
    assert loaded.metric_names == ["fitness"]
    assert loaded.best_trial.user_attrs["score.sums"] == 0.5


def test_optuna_dashboard_opens_it(study: Study, folder: Path, ask: Ask) -> None:
    storage_url = pytest.importorskip("optuna_dashboard._storage_url")
    ask(0)
    storage = storage_url.get_storage(str(folder / "journal.log"))
    assert optuna.get_all_study_names(storage) == ["small"]
    assert len(optuna.load_study(study_name="small", storage=storage).trials) == 1


def test_a_journal_line_stays_small(study: Study, folder: Path, ask: Ask, report: Report) -> None:
    before = (folder / "journal.log").stat().st_size
    study.tell(ask(0), report, (0.5,), worker="w1")
    assert (folder / "journal.log").stat().st_size - before < 2500
    for line in (folder / "journal.log").read_bytes().splitlines():
        json.loads(line)
