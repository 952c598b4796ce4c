"""The loop: what it records, in which order, and that no crash changes what a search finds."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Executor, TaskResult
from evomerge.cluster.local import InProcess
from evomerge.errors import RecordError, UserError
from evomerge.evaluators.base import Failure, Report
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.recipe.genome import Genome
from evomerge.recipe.tree import Merge
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, make_executor, make_optimizer, make_space, search

ROOT = Path(__file__).parents[2]


def in_process(**config: Any) -> Executor:
    return InProcess(partial(Worker, Sphere(**config)))


def found(folder: Path) -> list[Any]:
    """What a study holds, as far as a crash may not change it."""
    with Study.open(folder, write=False) as study:
        return [
            (c.number, c.proposed_by, c.label, c.genome, c.digest, c.state, c.fitness)
            for c in study.candidates()
        ]


def test_warm_starts_come_first_and_the_budget_counts_them(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=30, executor=in_process()) as study:
        candidates = study.candidates()
    assert len(candidates) == 30
    assert [c.label for c in candidates[:4]] == ["uniform", "parent:json", "parent:math", None]
    assert {c.proposed_by for c in candidates[3:]} == {"optimizer"}
    failed = [c for c in candidates if c.state == "failed"]
    assert failed, "weights of 1 must fail here: the parents"
    assert all(c.failure == Failure(cause="candidate", message="too heavy") for c in failed)


class Counting(ParameterSpace):
    """Counts how often it is asked for a genome's recipe."""

    def __init__(self) -> None:
        vars(self).update(vars(make_space()))
        self.asked: Counter[Genome] = Counter()

    def recipe(self, genome: Genome) -> Merge:
        self.asked[genome] += 1
        return super().recipe(genome)


def test_a_recipe_is_made_once_a_candidate(tmp_path: Path) -> None:
    space = Counting()
    marks = make_space().landmarks()
    with search(
        tmp_path / "s", candidates=12, executor=in_process(), space=space, landmarks=marks
    ) as study:
        expected = Counter(candidate.genome for candidate in study.candidates())
    assert space.asked == expected


class Repeating:
    """Asks a few genomes again and again."""

    def __init__(self, *genomes: Genome) -> None:
        self._genomes = genomes
        self._asked = 0

    def ask(self, limit: int) -> list[Proposal]:
        self._asked += 1
        turn = (self._asked - 1) % len(self._genomes)
        return [Proposal(self._asked - 1, self._genomes[turn])]

    def tell(self, results: Sequence[Result]) -> None:
        pass

    def observe(self, observation: Observation) -> None:
        pass

    def recommend(self) -> Genome | None:
        return None


def test_a_budget_of_evaluations_does_not_count_what_was_scored_before(tmp_path: Path) -> None:
    again = Repeating((0.1, 0.1), (0.1, 0.1), (0.2, 0.1), (0.1, 0.1), (0.3, 0.1), (0.4, 0.1))
    with search(tmp_path / "s", evaluations=6, executor=in_process(), optimizer=again) as study:
        candidates = study.candidates()
    assert [c.attempts > 0 for c in candidates] == [True] * 4 + [False, True, False, True]


@pytest.mark.slow
def test_an_optimizer_that_has_nothing_new_ends_the_search(tmp_path: Path) -> None:
    again, executor = Repeating((0.1, 0.1), (0.2, 0.1)), in_process()
    folder = tmp_path / "s"
    with search(folder, evaluations=6, executor=executor, optimizer=again, stale_after=20) as study:
        candidates = study.candidates()
    assert len(candidates) == 3 + 2 + 20


def test_it_finds_the_optimum(tmp_path: Path) -> None:
    with search(tmp_path / "s", candidates=120, executor=in_process()) as study:
        best = study.best(1)[0]
    assert best.values["json.weight"] == pytest.approx(0.3, abs=0.05)
    assert best.values["math.weight"] == pytest.approx(0.8, abs=0.05)


def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        search(tmp_path / name, candidates=25, executor=in_process()).close()
    assert found(tmp_path / "one") == found(tmp_path / "two")


def test_outcomes_are_on_record_before_the_optimizer_hears_of_them(tmp_path: Path) -> None:
    optimizer = make_optimizer("cma_es")
    heard = []

    class Overheard:
        """The optimizer, with an ear on what is on record when it is told."""

        ask, observe, recommend = optimizer.ask, optimizer.observe, optimizer.recommend

        def tell(self, results: Any) -> None:
            with Study.open(tmp_path / "s", write=False) as study:
                told = {c.proposal: c.state for c in study.candidates() if c.proposal is not None}
            heard.append([told[result.id] for result in results])
            optimizer.tell(results)

    search(tmp_path / "s", candidates=12, executor=in_process(), optimizer=Overheard()).close()
    assert heard
    assert all(state != "running" for states in heard for state in states)


@pytest.mark.slow
class Shuffled(InProcess):
    """Four workers whose answers come in any order."""

    def __init__(self) -> None:
        super().__init__(partial(Worker, Sphere()))
        self._rng, self._done = random.Random(3), list[TaskResult]()

    @property
    def free(self) -> int:
        return 4 - self.queued - len(self._done)

    def wait(self, timeout_s: float) -> list[TaskResult]:
        while self.queued:
            self._done += super().wait(0)
        self._rng.shuffle(self._done)
        return [self._done.pop()]


def test_arrival_order_does_not_change_a_generational_search(tmp_path: Path) -> None:
    search(tmp_path / "one", candidates=40, executor=in_process()).close()
    search(tmp_path / "four", candidates=40, executor=Shuffled()).close()
    assert found(tmp_path / "one") == found(tmp_path / "four")


def test_an_optimizer_hears_of_all_landmarks_before_it_is_asked(tmp_path: Path) -> None:
    heard: list[object] = []

    class Attentive(Repeating):
        def ask(self, limit: int) -> list[Proposal]:
            heard.append("asked")
            return super().ask(limit)

        def observe(self, observation: Observation) -> None:
            heard.append(observation.genome)

    known = {"near": (0.3, 0.3), "low": (0.1, 0.1), "high": (0.2, 0.4)}
    with search(
        tmp_path / "s",
        candidates=6,
        executor=Shuffled(),
        optimizer=Attentive((0.2, 0.2), (0.3, 0.1)),
        landmarks=known,
    ) as study:
        assert all(candidate.fitness is not None for candidate in study.candidates()[:3])
    assert heard[:4] == [*known.values(), "asked"]
    assert set(heard[4:]) <= {"asked"}


def test_a_search_waits_for_workers_that_are_not_there_at_the_moment(tmp_path: Path) -> None:
    class Late(InProcess):
        """A worker that is missing for a while, first and again under way."""

        def __init__(self) -> None:
            super().__init__(partial(Worker, Sphere()))
            self._waits = 0

        @property
        def free(self) -> int:
            return super().free if self._waits % 5 > 2 else 0

        def wait(self, timeout_s: float) -> list[TaskResult]:
            self._waits += 1
            return super().wait(timeout_s)

    with search(tmp_path / "s", candidates=12, executor=Late()) as study:
        assert len(study.candidates()) == 12


def test_a_recipe_scored_before_is_not_evaluated_again(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    executor = in_process(notes=str(notes))
    search(tmp_path / "s", candidates=10, executor=executor).close()
    before = notes.read_text()
    with Study.open(tmp_path / "s", write=True) as study:
        one = study.candidates()[0]
        assert isinstance(study.reports.load(one.digest, "e" * 64, "search"), Report)
    search(tmp_path / "s", candidates=10, executor=executor).close()
    assert notes.read_text() == before


def niches() -> Any:
    return make_optimizer("natural_niches", mutation=0.05, archive=8)


@pytest.mark.slow
def test_niches_resume_from_the_scores_on_record(tmp_path: Path) -> None:
    """Whole, or in three sittings: the same candidates, and the same archive in the end."""
    whole, pieces = niches(), [niches() for _ in range(3)]
    search(tmp_path / "whole", candidates=60, executor=in_process(), optimizer=whole).close()
    for candidates, optimizer in zip((14, 35, 60), pieces, strict=True):
        executor = in_process()
        search(
            tmp_path / "pieces", candidates=candidates, executor=executor, optimizer=optimizer
        ).close()
    assert found(tmp_path / "whole") == found(tmp_path / "pieces")
    ids = [[one.id for one in made.archive.members] for made in (whole, pieces[-1])]
    assert ids[0] == ids[1]
    with Study.open(tmp_path / "whole", write=False) as study:
        best, asked = study.best(1)[0], study.candidates()
    assert best.values["json.weight"] == pytest.approx(0.3, abs=0.1)
    children = [one for one in asked if one.proposed_by == "optimizer"]
    assert all(one.parentage is not None for one in children)
    assert {one.parentage.version for one in children if one.parentage} > {1, 5}
    assert all(one.parentage is None for one in asked if one.proposed_by == "landmark")


def test_niches_with_cma_es_resume_from_the_scores_on_record(tmp_path: Path) -> None:
    made: list[Any] = [make_optimizer("cma_niches", archive=6) for _ in range(3)]
    whole, *pieces = made
    search(tmp_path / "whole", candidates=30, executor=in_process(), optimizer=whole).close()
    for candidates, optimizer in zip((13, 30), pieces, strict=True):
        search(
            tmp_path / "pieces", candidates=candidates, executor=in_process(), optimizer=optimizer
        ).close()
    assert found(tmp_path / "whole") == found(tmp_path / "pieces")
    ids = [[one.id for one in optimizer.archive.members] for optimizer in (whole, pieces[1])]
    assert ids[0] == ids[1]
    with Study.open(tmp_path / "whole", write=False) as study:
        asked = [one for one in study.candidates() if one.proposed_by == "optimizer"]
    assert {one.parentage is None for one in asked} == {True, False}, "of both sources"


def test_niches_refuse_a_record_without_scores(tmp_path: Path) -> None:
    search(tmp_path / "s", candidates=12, executor=in_process(), optimizer=niches()).close()
    for path in (tmp_path / "s" / "examples").iterdir():
        path.unlink()
    with pytest.raises(RecordError, match="candidate 0: its scores are no longer in"):
        search(tmp_path / "s", candidates=20, executor=in_process(), optimizer=niches())


def test_niches_refuse_an_evaluator_without_examples(tmp_path: Path) -> None:
    executor = in_process(examples=False)
    with pytest.raises(UserError, match="the task 'sphere' has no scores of single examples"):
        search(tmp_path / "s", candidates=12, executor=executor, optimizer=niches())


def _run_and_kill_at(
    arguments: list[str], notes: Path, lines: float, delay_s: float, *, whole_group: bool = False
) -> bool:
    """Run the search as a program and kill it a moment after the notes have so many lines.

    True if it ended by itself first.
    """
    said = notes.with_suffix(".stderr")
    with said.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.sphere", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    while process.poll() is None:
        if notes.exists() and len(notes.read_text().split()) >= lines:
            time.sleep(delay_s)
            break
        time.sleep(0.001)
    if whole_group:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    if process.returncode == -signal.SIGKILL:
        return False
    assert process.returncode == 0, said.read_text()[-2000:]
    return True


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_candidates(tmp_path: Path) -> None:
    search(tmp_path / "whole", candidates=40, executor=in_process()).close()
    rng, kills, notes = random.Random(11), 0, tmp_path / "notes"
    arguments = [str(tmp_path / "killed"), "--candidates", "40", "--notes", str(notes)]
    lines = 0
    # The first two wait to be killed, however busy the machine; later ones may end before that.
    most = ["--most", "12"]
    while not _run_and_kill_at(
        [*arguments, *most], notes, lines + rng.randint(1, 9), rng.uniform(0, 0.04)
    ):
        kills += 1
        most = ["--most", "24"] if kills == 1 else []
        lines = len(notes.read_text().split())
        assert kills < 60
    assert kills >= 2
    assert found(tmp_path / "killed") == found(tmp_path / "whole")
    # An evaluation may be repeated only if the kill came before its outcome was on record.
    again = Counter(notes.read_text().split())
    assert sum(count - 1 for count in again.values()) <= kills


@pytest.mark.ray
@pytest.mark.slow
def test_with_ray_killed_whole_it_ends_with_the_same_candidates(tmp_path: Path) -> None:
    search(tmp_path / "whole", candidates=24, executor=in_process()).close()
    notes = tmp_path / "notes"
    arguments = [
        str(tmp_path / "killed"),
        "--candidates",
        "24",
        "--executor",
        "ray",
        "--seconds",
        "0.2",
        "--notes",
        str(notes),
    ]
    most = ["--most", "16"]
    assert not _run_and_kill_at([*arguments, *most], notes, 8, 0.1, whole_group=True)
    assert _run_and_kill_at(arguments, notes, math.inf, 0.0)
    assert found(tmp_path / "killed") == found(tmp_path / "whole")


@pytest.mark.ray
@pytest.mark.slow
def test_ray_workers_killed_under_way_change_nothing(tmp_path: Path) -> None:
    import threading

    import ray

    os.environ["PYTHONPATH"] = str(ROOT)
    search(tmp_path / "whole", candidates=24, executor=in_process()).close()
    executor = make_executor("ray", Sphere(seconds=0.2))
    stop = threading.Event()
    killed: list[list[int]] = []

    def kill_some() -> None:
        rng = random.Random(2)
        for _ in range(2):  # one less than the attempts of a candidate, which may be hit each time
            workers: list[int] = []
            while not workers:
                if stop.wait(0.2):
                    return
                titles = ("ray::EvomergeWorker", "ray::search ")
                workers = [pid for pid, title in _descendants() if title.startswith(titles)]
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed.append(workers)

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        search(tmp_path / "killed", candidates=24, executor=executor).close()
    finally:
        stop.set()
        killer.join()
        executor.close()
        assert not ray.is_initialized()
    assert killed
    assert found(tmp_path / "killed") == found(tmp_path / "whole")


def _descendants() -> list[tuple[int, str]]:
    """(pid, title) of every process below this one."""
    parent, title = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
                title[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            parent[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    here = {os.getpid()}
    while more := {pid for pid, above in parent.items() if above in here} - here:
        here |= more
    return [(pid, title[pid]) for pid in here if pid in title]


def test_a_landmark_on_record_under_an_earlier_name_is_not_tried_again(tmp_path: Path) -> None:
    marks = make_space().landmarks()
    before = {label.replace("parent:", "input:"): genome for label, genome in marks.items()}
    search(tmp_path / "s", candidates=8, executor=in_process(), landmarks=before).close()
    search(tmp_path / "s", candidates=12, executor=in_process(), landmarks=marks).close()
    search(tmp_path / "whole", candidates=12, executor=in_process(), landmarks=before).close()
    assert found(tmp_path / "s") == found(tmp_path / "whole")
