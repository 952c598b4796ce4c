"""Why a search ends, and what the record says of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Executor
from evomerge.cluster.local import InProcess
from evomerge.config import Budget, read_job
from evomerge.errors import ConfigError
from evomerge.evaluators.base import Failure
from evomerge.optimizers.base import Fitness
from evomerge.searching.ending import ENDED, find_ending
from evomerge.searching.tally import Tally
from evomerge.study.candidate import Candidate, Proposer
from evomerge.study.record import Study
from evomerge.value import parse
from tests import candidates
from tests.place import Place
from tests.sphere import Sphere, Worker, search


def in_process() -> Executor:
    return InProcess(partial(Worker, Sphere()))


def candidate(
    number: int, fitness: Fitness | None, told: int | None = None, **known: Any
) -> Candidate:
    by: Proposer = "landmark" if known.pop("landmark", False) else "optimizer"
    ended = {"told": number if told is None else told, "attempts": 1}
    return candidates.candidate(number, proposed_by=by, fitness=fitness, **ended | known)


def said(budget: dict[str, Any], *candidates: Candidate) -> str | None:
    parsed = parse(Budget, {"candidates": 99} | budget, origin="")
    ending = find_ending(parsed, Tally(candidates, target=parsed.target), 0.0)
    return ending.said if ending else None


@pytest.mark.parametrize(("lost", "is_over"), [(100, False), (101, True)])
def test_failures_of_the_surroundings_cost_a_budget_nothing_up_to_a_number(
    lost: int, is_over: bool
) -> None:
    dead = Failure(cause="infrastructure", message="out of memory")
    failed = [candidate(number, None, failure=dead) for number in range(lost)]
    scored = candidate(lost, (0.5,))
    assert (said({"candidates": 2}, *failed, scored) is not None) == is_over
    assert (said({"evaluations": 2}, *failed, scored) is not None) == is_over


def test_a_target_ends_the_search_with_the_candidate_that_has_it(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=60, target=0.99, executor=in_process()) as study:
        candidates, ended = study.candidates(), study.get(ENDED)
    *before, last = candidates
    assert last.fitness is not None
    assert last.fitness[0] >= 0.99 > max(one.fitness[0] for one in before if one.fitness)
    assert ended["by"] == "target"
    assert ended["said"].startswith(f"candidate {last.number} has reached the target: 0.99")


def test_patience_ends_it_when_nothing_is_better(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=500, patience=7, executor=in_process()) as study:
        candidates, ended = study.candidates(), study.get(ENDED)
        best = study.best(1)[0]
    assert [one.number for one in candidates][-1] == best.number + 7
    assert ended["by"] == "patience"
    assert ended["said"].startswith("7 candidates were evaluated, and none is better than")
    assert f"than candidate {best.number} (" in ended["said"]


def test_a_target_changes_nothing_of_what_is_asked(tmp_path: Path) -> None:
    """A prefix of the search without it."""
    genomes = []
    for name, target in (("plain", None), ("aimed", 0.99)):
        with search(tmp_path / name, candidates=60, target=target, executor=in_process()) as study:
            genomes.append([one.genome for one in study.candidates()])
    whole, begun = genomes
    assert len(begun) < len(whole)
    assert whole[: len(begun)] == begun


def test_a_spent_budget_is_what_the_record_says(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=5, executor=in_process()) as study:
        ended = study.get(ENDED)
    assert ended == {"by": "candidates", "said": "the budget of 5 candidates is spent"}
    # A larger budget goes on: only what a listener said holds for good.
    with search(tmp_path / "s", candidates=7, executor=in_process()) as study:
        assert len(study.candidates()) == 7
        assert study.get(ENDED)["said"] == "the budget of 7 candidates is spent"


def test_a_search_that_is_told_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    heard: list[int] = []

    def stop() -> str | None:
        return "five are enough" if len(heard) == 5 else None

    def told(candidate: Candidate) -> None:
        with Study.open(tmp_path / "s", write=False) as study:
            assert study.candidate(candidate.number) == candidate  # it is on record by then
        heard.append(candidate.number)

    executor = in_process()
    search(tmp_path / "s", candidates=40, executor=executor, told=told, stop=stop).close()
    assert heard == [0, 1, 2, 3, 4]
    with search(tmp_path / "s", candidates=40, executor=executor) as study:
        assert len(study.candidates()) == 5, "it stays stopped"
        assert study.get(ENDED) == {"by": "listener", "said": "five are enough"}


def test_an_optimizer_that_asks_nothing_more_is_named(tmp_path: Path) -> None:
    class Silent:
        tell = observe = staticmethod(lambda one: None)
        recommend = staticmethod(lambda: None)

        def ask(self, limit: int) -> list[Any]:
            return []

    with search(tmp_path / "s", candidates=40, executor=in_process(), optimizer=Silent()) as study:
        assert len(study.candidates()) == 3
        assert study.get(ENDED)["by"] == "optimizer"


def test_patience_goes_by_the_order_of_the_ends() -> None:
    best_last = candidate(0, (0.9,), told=3), candidate(1, (0.5,), told=1), candidate(2, (0.6,), 2)
    assert said({"patience": 1}, *best_last) is None
    best_first = candidate(0, (0.9,), told=1), candidate(1, (0.5,), told=2), candidate(2, None, 3)
    assert said({"patience": 2}, *best_first) is not None
    assert said({"patience": 3}, *best_first) is None


def test_patience_counts_neither_warm_starts_nor_what_had_been_scored_before() -> None:
    best = candidate(0, (0.9,), landmark=True)
    others = [candidate(number, (0.1,), landmark=True) for number in (1, 2, 3)]
    assert said({"patience": 1}, best, *others) is None
    assert said({"patience": 1}, best, candidate(4, (0.1,), attempts=0)) is None
    assert said({"patience": 1}, best, candidate(4, (0.1,))) is not None
    assert said({"patience": 1}, candidate(0, None)) == (
        "1 candidate was evaluated, and none of them has a score"
    )


def test_several_objectives_have_a_target_each_and_a_front() -> None:
    front = candidate(0, (0.5, -20.0)), candidate(1, (0.4, -10.0))
    assert said({"target": [0.5, -10]}, *front) is None
    assert said({"target": [0.4, -10]}, *front) == (
        "candidate 1 has reached the target: 0.4000, -10.0000"
    )
    beaten = candidate(2, (0.4, -12.0))
    assert said({"patience": 1}, *front) is None
    assert said({"patience": 1}, *front, beaten) is not None
    assert said({"patience": 1}, *front, candidate(2, (0.45, -15.0))) is None


def test_a_target_goes_with_the_objectives_of_the_job(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.job["budget"] = {"candidates": 4, "target": 1, "patience": 3}
    place.write()
    assert read_job(tmp_path / "job.yaml").budget.target == (1.0,)
    place.job |= {"objective": {"also": ["layers"]}, "optimizer": {"kind": "optuna"}}
    place.write()
    with pytest.raises(ConfigError) as caught:
        read_job(tmp_path / "job.yaml")
    assert str(caught.value).endswith(
        "budget.target: one number for each objective (fitness, layers) is wanted, got 1"
    )
    place.job["budget"] = {"target": 0.5}
    place.write()
    with pytest.raises(ConfigError, match="a budget needs candidates, evaluations or seconds, and"):
        read_job(tmp_path / "job.yaml")
