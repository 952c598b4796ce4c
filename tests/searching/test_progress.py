"""What is told of a search: the leaders, the best so far, why candidates failed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from evomerge.cluster.local import InProcess
from evomerge.config import Budget
from evomerge.searching.final_comparison import Scorer
from evomerge.searching.progress import Progress, Scoring
from evomerge.searching.tally import Tally
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, make_space, search


def searched(folder: Path) -> tuple[Study, list[Progress]]:
    """A search of ten candidates, the first of which fail, and what it told."""
    told: list[Progress] = []
    executor = InProcess(partial(Worker, Sphere()))
    return search(folder, candidates=10, executor=executor, tell=told.append), told


def test_what_is_told_of_a_search_as_it_goes(tmp_path: Path) -> None:
    study, told = searched(tmp_path / "s")
    candidates = study.candidates()
    study.close()
    assert told[0].leaders == ()
    assert list(told[0].curve) == []
    last = told[-1]
    scored = [one for one in candidates if one.fitness is not None]
    fitness = [one.fitness[0] for one in scored if one.fitness]
    assert last.best == last.leaders[0]
    assert [one.fitness for one in last.leaders] == [(f,) for f in sorted(fitness)[::-1][:5]]
    # From the first score on, after each candidate that came to an end.
    assert last.curve[0] == fitness[0]
    assert list(last.curve) == sorted(last.curve)
    assert last.curve[-1] == max(fitness)
    assert len(last.curve) == 10 - min(one.number for one in scored)
    assert last.failures == {"too heavy": 10 - len(scored)}
    assert last.objectives == ("fitness",)


def test_what_is_told_while_the_models_of_a_split_are_scored(tmp_path: Path) -> None:
    study, _ = searched(tmp_path / "s")
    space, told = make_space(), list[Scoring]()
    executor = InProcess(partial(Worker, Sphere()))
    recipes = {f"r{n}": space.recipe((n / 10, 0.5)) for n in (1, 2, 1)} | {
        "again": space.recipe((0.2, 0.5))
    }
    scorer = Scorer(study, executor, "e" * 64, told.append)
    with study:
        scorer.score(recipes, "validation")
        assert [(at.done, at.total) for at in told] == [(0, 2), (1, 2), (2, 2)]
        assert list(told[0].models.values()) == ["r1", "r2"]
        assert list(told[1].models.values()) == ["r2"]
        assert told[2] == Scoring(split="validation", done=2, total=2, models={})
        # They are on record, and one more is not.
        scorer.score(recipes | {"new": space.recipe((0.3, 0.5))}, "validation")
        assert [(at.done, at.total) for at in told[3:]] == [(2, 3), (3, 3)]


def test_what_is_told_of_a_tally_is_what_was_given() -> None:
    budget = Budget(candidates=7, evaluations=3, seconds=60)
    at = Progress.of(
        Tally(),
        budget,
        running=2,
        paused=1,
        seconds=5.0,
        objectives=("a", "b"),
        draining=True,
        asking_s=0.5,
    )
    assert (at.total, at.evaluations, at.limit_s) == (7, 3, 60)
    assert (at.running, at.paused, at.seconds, at.asking_s) == (2, 1, 5.0, 0.5)
    assert (at.objectives, at.draining, at.best) == (("a", "b"), True, None)
