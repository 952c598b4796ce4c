"""Who follows a record hears what a listener of the search itself heard."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.local import InProcess
from evomerge.errors import ConfigError
from evomerge.searching.follower import Follower
from evomerge.searching.listener import Listener
from evomerge.searching.progress import Progress, Scoring
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, make_space, search

CANDIDATES = 12


class Heard(Listener):
    """All that is told."""

    def __init__(self) -> None:
        self.lines, self.does, self.told_of = list[str](), list[str](), list[int]()
        self.at: list[Progress] = []
        self.scorings: list[Scoring] = []

    def doing(self, what: str) -> None:
        self.does.append(what)

    def said(self, message: str) -> None:
        self.lines.append(message)

    def progressed(self, progress: Progress) -> None:
        self.at.append(progress)

    def told(self, candidate: Candidate) -> None:
        self.told_of.append(candidate.number)

    def scored(self, scoring: Scoring) -> None:
        self.scorings.append(scoring)


def created(folder: Path) -> Study:
    job = {"budget": {"candidates": CANDIDATES}}
    return Study.create(folder, name="sphere", job=job, genes=make_space().genes)


def searched(study: Study, candidates: int) -> Heard:
    """What a listener hears of a search that comes to so many candidates."""
    heard = Heard()
    search(
        study.path,
        candidates=candidates,
        executor=InProcess(lambda: Worker(Sphere())),
        study=study,
        tell=heard.progressed,
        told=heard.told,
    )
    return heard


def test_a_follower_hears_what_the_search_told(tmp_path: Path) -> None:
    with created(tmp_path / "s") as study, Study.open(tmp_path / "s", write=False) as read:
        heard, followed = Heard(), Heard()
        follower = Follower(read, followed)
        assert not follower.look()
        heard = searched(study, CANDIDATES)
        assert not follower.look()
        there, here = heard.at[-1], followed.at[-1]
        for name in ("total", "done", "evaluated", "failed", "stopped", "paused", "objectives"):
            assert getattr(here, name) == getattr(there, name), name
        assert [c.number for c in here.leaders] == [c.number for c in there.leaders]
        assert list(here.curve) == list(there.curve)
        assert here.failures == there.failures
        assert followed.told_of == heard.told_of
        assert (followed.at[0].done, followed.at[0].best) == (0, None)


def test_what_ended_before_the_first_look_is_not_told_again(tmp_path: Path) -> None:
    with created(tmp_path / "s") as study, Study.open(tmp_path / "s", write=False) as read:
        searched(study, 5)
        heard = Heard()
        follower = Follower(read, heard)
        follower.look()
        assert heard.told_of == []
        assert heard.at[-1].done == 5


def test_what_is_under_way_and_who_searches(tmp_path: Path) -> None:
    with created(tmp_path / "s") as study, Study.open(tmp_path / "s", write=False) as read:
        heard = Heard()
        follower = Follower(read, heard)
        follower.look()
        space = make_space()
        for genome in ((0.1, 0.2), (0.3, 0.4), (0.5, 0.6), (0.7, 0.8)):
            recipe = space.recipe(genome)
            study.ask(proposed_by="landmark", genome=genome, recipe=recipe, label=str(genome))
        follower.look()
        follower.look()
    first, second = heard.does
    assert first.endswith("has nothing under way: workers may be starting")
    assert second.startswith("process ")
    assert second.endswith(" evaluates #0, #1, #2 and 1 other")
    assert heard.at[-1].running == 4


def test_the_time_of_a_search_goes_on_while_nothing_is_recorded(tmp_path: Path) -> None:
    with created(tmp_path / "s"), Study.open(tmp_path / "s", write=False) as read:
        heard, seconds = Heard(), count(0.0, 100.0)
        follower = Follower(read, heard, lambda: next(seconds))
        follower.look()
        follower.look()
    assert heard.at[1].seconds - heard.at[0].seconds == 100.0


def test_a_search_that_has_stopped_is_called_so(tmp_path: Path) -> None:
    searched(study := created(tmp_path / "s"), 3)
    study.close()
    with Study.open(tmp_path / "s", write=False) as read:
        heard, seconds = Heard(), count(0.0, 100.0)
        follower = Follower(read, heard, lambda: next(seconds))
        follower.look()
        follower.look()
    assert heard.does == [f"nobody searches here now; evomerge resume {tmp_path / 's'} goes on"]
    assert heard.at[0].seconds == heard.at[1].seconds, "time goes on without a search"


def test_the_models_that_are_scored_after_the_search(tmp_path: Path) -> None:
    with created(tmp_path / "s") as study, Study.open(tmp_path / "s", write=False) as read:
        searched(study, 4)
        study.put("scored.validation", {"candidate 1": "a" * 64, "candidate 2": "b" * 64})
        heard = Heard()
        Follower(read, heard).look()
    assert len(heard.lines) == 1
    assert heard.lines[0].startswith("the search is over: ")
    (scoring,) = heard.scorings
    assert (scoring.split, scoring.done, scoring.total) == ("validation", 0, 2)
    assert heard.does[0].endswith(" scores models for the comparison")


def test_a_search_of_equal_cost_after_the_search(tmp_path: Path) -> None:
    job = {"budget": {"candidates": CANDIDATES}, "compare": ["random", "soup"]}
    genes = make_space().genes
    beside: dict[str, Any] = {"job": {"budget": {"evaluations": 7}}, "genes": genes}
    with Study.create(tmp_path / "s", name="sphere", job=job, genes=genes) as study:
        searched(study, 4)
        study.put("winner", {"label": "candidate 1", "recipe": {}, "fitness": 0.5})
        with Study.create(study.path / "compare" / "random", name="random", **beside) as random:
            searched(random, 3)
            random.put("scored.validation", {"candidate 1": "a" * 64})
            # It has its winner, and no holdout of its own.
            random.put("winner", {"label": "candidate 1", "recipe": {}, "fitness": 0.5})
        at_finalists = looked_at(study)
        with Study.create(study.path / "compare" / "soup", name="soup", **beside) as soup:
            searched(soup, 2)
        at_soup = looked_at(study)
        study.put("scored.holdout", {"evolved": "a" * 64})
        own = looked_at(study)
    assert at_finalists.where == "random search (equal cost), validation"
    assert at_soup == Scoring(
        split="search",
        done=2,
        total=7,
        models={},
        noun="evaluation",
        opponent="greedy soup (equal cost)",
    )
    assert own.where == "holdout"


def looked_at(study: Study) -> Scoring:
    """What is told of scoring at one look."""
    heard = Heard()
    with Study.open(study.path, write=False) as read:
        Follower(read, heard).look()
    return heard.scorings[-1]


def test_a_job_without_a_budget_is_a_sentence(tmp_path: Path) -> None:
    with (
        Study.create(tmp_path / "s", name="a", job={"budget": {}}, genes=()) as study,
        pytest.raises(ConfigError, match=r"job: budget.*needs candidates"),
    ):
        Follower(study, Heard())
