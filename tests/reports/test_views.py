"""What is seen of a study that was really searched, and what cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evomerge import writers
from evomerge.errors import RecordError, UserError
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Observation
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.registry import OPTIMIZERS, configure, make
from evomerge.reports.views import View, archive_view, lineage_view, usual_view, views
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.replay import restore
from tests import sphere
from tests.place import Place
from tests.test_niches import EVALUATOR, job, search, space

NICHES: dict[str, Any] = {"archive": 6, "warm_up": 8}
OF_GENES = "cma_niches"
"""Keeps an archive, and crosses no tables."""
KEEPERS = [
    kind
    for kind, entry in OPTIMIZERS.usable().items()
    if issubclass(entry.config, PopulationConfig) and entry.config.keeps and kind != OF_GENES
]


def study(folder: Path, kind: str, candidates: int = 40, **options: Any) -> Study:
    search(folder, kind, candidates, **options)
    return Study.open(folder, write=False)


@pytest.mark.parametrize("kind", KEEPERS)
def test_the_archive_is_what_a_replayed_optimizer_holds(tmp_path: Path, kind: str) -> None:
    options = NICHES if kind == "natural_niches" else {}
    with study(tmp_path / "s", kind, **options) as made:
        label, shown = archive_view(made)
        config, over = configure(made.job["optimizer"], origin="t"), space()
        optimizer: Any = make(config, over.genes, seed=2, seed_pool=over.seed_pool)
        objective = Objective({"one": 1.0, "two": 1.0})

        def observed(one: Candidate) -> Observation | None:
            if one.fitness is None:
                return None
            report = made.reports.load(one.digest, EVALUATOR, "search")
            assert report is not None
            return Observation(one.genome, one.fitness, *objective.scores(report))

        restore(optimizer, made.candidates(), observed)
        kept = getattr(optimizer, "archive", None) or optimizer.elites
        landmarks = len(over.landmarks())
        own = {
            member.id + landmarks if member.id >= 0 else -1 - member.id for member in kept.members
        }
        assert {one.candidate.number for one in shown["members"]} == own
        assert label == f"archive of {len(own)}"
        assert shown["tasks"] == {"one": 45, "two": 45}
        assert shown["title"] == "niches"
        if hasattr(optimizer, "archive"):
            fitnesses = np.sort(optimizer.archive.fitness())[::-1].tolist()
            assert [one.fitness for one in shown["members"]] == fitnesses
        for one in shown["members"]:
            assert np.mean(one.examples) == pytest.approx(one.candidate.fitness[0])
    assert shown["ranked_by"] == ("shared fitness" if kind == "natural_niches" else "fitness")


def test_an_archive_and_a_lineage_over_a_parameter_space(tmp_path: Path) -> None:
    about = job(OF_GENES, archive=6) | {
        "space": {"kind": "parameter", "base": "base", "method": "task_arithmetic"},
        "evaluator": {
            "tasks": {"sphere": {"metric": "closeness", "weight": 1.0}},
            "splits": {"search": "train", "validation": "validation", "holdout": "test"},
        },
    }
    optimizer: Any = sphere.make_optimizer(OF_GENES, archive=6)
    over = sphere.make_space()
    landmarks = len(over.landmarks())
    with Study.create(tmp_path / "s", name="niches", job=about, genes=over.genes) as made:
        made.put("evaluator", EVALUATOR)
        executor = sphere.make_executor("in_process", sphere.Sphere())
        sphere.search(
            tmp_path / "s", candidates=40, executor=executor, optimizer=optimizer, study=made
        )
        shown = archive_view(made)[1]
        ids = {member.id for member in optimizer.archive.members}
        asked = {one.candidate.number for one in shown["members"] if one.candidate.proposal}
        assert asked == {id + landmarks for id in ids if id > 0}
        assert len(shown["members"]) == 6
        assert shown["ranked_by"] == "shared fitness"
        bred = [one.number for one in made.candidates() if one.parentage]
        family = lineage_view(made, bred[-1])[1]["family"]
        assert family[-1].candidate.number == bred[-1]
        assert family[-1].parents
        assert any(one.candidate.proposal is not None and not one.parents for one in family)
        assert usual_view(made, None) == "archive"


def test_the_lineage_is_that_of_the_best_or_of_the_one_asked_for(tmp_path: Path) -> None:
    with study(tmp_path / "s", "natural_niches", **NICHES) as made:
        best = made.best(1)[0]
        label, shown = lineage_view(made, None)
        assert label == f"lineage of candidate {best.number}"
        assert shown["title"] == f"niches, {label.removeprefix('lineage of ')}"
        assert shown["family"][-1].candidate.number == best.number
        assert shown["family"][0].candidate.proposed_by == "landmark"
        assert shown["shares"].keys() == {one.candidate.number for one in shown["family"]}
        assert shown["shares"][0] == {"chat": 1.0, "code": 0.0, "math": 0.0, "base": 0.0}
        assert shown["sides"] == (
            "first parent, drawn by shared fitness",
            "second parent, drawn by attraction to the first",
        )
        assert shown["random"] == set(range(4, 12)), "the warm-up's merges come first"
        assert lineage_view(made, 7)[1]["family"][-1].candidate.number == 7
        with pytest.raises(UserError, match="s: no candidate 40; there are 40, from 0"):
            lineage_view(made, 40)
    with Study.open(tmp_path / "s", write=True) as made:
        made.put("winner", {"label": "candidate 17", "recipe": {}, "fitness": 1.0})
        assert lineage_view(made, None)[0] == "lineage of candidate 17"
        made.put("winner", {"label": "recommendation", "recipe": {}, "fitness": 1.0})
        assert lineage_view(made, None)[0] == f"lineage of candidate {best.number}"


@pytest.mark.parametrize(
    ("kind", "options", "first", "second"),
    [
        ("natural_niches", {"attraction": False}, "by shared fitness", "by shared fitness"),
        ("genetic_merge", {}, "by fitness", "by fitness"),
        ("map_elites", {}, "at random", "at random"),
        ("map_elites", {"draw": "quality"}, "by fitness", "by fitness"),
        ("cycle_qd", {}, "by the tasks' scores", "by the tasks' scores"),
        ("cycle_qd", {"draw": "even"}, "at random", "at random"),
        ("random_merge", {}, "at random", "at random"),
    ],
)
def test_it_says_how_parents_were_drawn(
    tmp_path: Path, kind: str, options: dict[str, Any], first: str, second: str
) -> None:
    with study(tmp_path / "s", kind, 12, **options) as made:
        sides = lineage_view(made, None)[1]["sides"]
    assert sides == (f"first parent, drawn {first}", f"second parent, drawn {second}")


def test_without_its_scores_there_is_no_archive(tmp_path: Path) -> None:
    study(tmp_path / "s", "natural_niches", 20, **NICHES).close()
    next((tmp_path / "s" / "examples").iterdir()).unlink()
    with (
        Study.open(tmp_path / "s", write=False) as made,
        pytest.raises(RecordError, match=r"its scores are no longer in .*; put the files back"),
    ):
        archive_view(made)


@pytest.mark.parametrize(
    ("over", "optimizer", "seen"),
    [
        ("segments", "natural_niches", ("archive", "lineage")),
        ("parameter", "map_elites", ("archive", "lineage")),
        ("dataflow", "natural_niches", ("path", "path")),
        ("dataflow", "cma_es", ("path", "path")),
        ("segments", "random_merge", ("lineage", "lineage")),
        ("parameter", "cma_es", ("convergence", "recipe")),
    ],
)
def test_what_suits_a_study(
    tmp_path: Path, over: str, optimizer: str, seen: tuple[str, str]
) -> None:
    about = {"space": {"kind": over}, "optimizer": {"kind": optimizer}}
    with Study.create(tmp_path / "s", name="s", job=about, genes=space().genes) as made:
        assert (usual_view(made, None), usual_view(made, 3)) == seen
    with Study.create(tmp_path / "t", name="t", job={}, genes=space().genes) as made:
        assert usual_view(made, None) == "convergence"
        assert views(made) == ["convergence", "recipe"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.write()
    return made


def test_the_command_draws_what_suits_a_study(place: Place) -> None:
    study(place.folder / "s", "natural_niches", **NICHES).close()
    said = {
        (): "archive of 6",
        ("--view", "archive"): "archive of 6",
        ("--view", "lineage", "--candidate", "20"): "lineage of candidate 20",
        ("--candidate", "21"): "lineage of candidate 21",
    }
    for number, (options, label) in enumerate(said.items()):
        ended = place.run("plot", "s", "--out", f"{number}.svg", *options)
        other = "lineage" if number == 0 else "archive"
        more = "" if "--view" in options else f"more with --view: convergence, recipe, {other}\n"
        assert (ended.stderr, ended.stdout) == ("", f"{number}.svg: {label}\n{more}")
        assert (place.folder / f"{number}.svg").read_bytes().startswith(b"<?xml")
    drawn = [(place.folder / f"{number}.svg").read_bytes() for number in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.process
def test_another_process_draws_the_same_bytes(tmp_path: Path) -> None:
    study(tmp_path / "s", "natural_niches", 20, **NICHES).close()
    code = "import sys; from evomerge.writers import plot; plot('s', sys.argv[1], view=sys.argv[2])"
    views: tuple[View, ...] = ("archive", "lineage")
    for view in views:
        out = tmp_path / f"here-{view}.svg"
        writers.plot(tmp_path / "s", out, view=view)
        there = [sys.executable, "-c", code, f"there-{view}.svg", view]
        subprocess.run(there, cwd=tmp_path, check=True)
        assert (tmp_path / f"there-{view}.svg").read_bytes() == out.read_bytes()


def test_what_cannot_be_drawn(place: Place) -> None:
    study(place.folder / "random", "random_merge", 9).close()
    study(place.folder / "niches", "natural_niches", 9).close()
    other = place.job | {"evaluator": job("cma_es")["evaluator"], "optimizer": {"kind": "cma_es"}}
    for name, about in (("other", other), ("new", job("natural_niches"))):
        Study.create(place.folder / name, name=name, job=about, genes=space().genes).close()
    draw, archive, lineage = ("--out", "no.svg"), ("--view", "archive"), ("--view", "lineage")
    said = (
        "random: the optimizer random_merge keeps no archive to draw; cma_niches, cycle_qd, genetic"
    )
    assert said in place.refuses("plot", "random", *draw, *archive)
    said = "other: the optimizer cma_es keeps no archive to draw; cma_niches, cycle_qd, genetic"
    assert said in place.refuses("plot", "other", *draw, *archive)
    said = "other: the optimizer cma_es crosses no candidates, so that there is no lineage to draw"
    assert said in place.refuses("plot", "other", *draw, *lineage)
    said = "niches: candidate 4: a segments has no path to draw; only a stack has (data flow)"
    assert said in place.refuses("plot", "niches", *draw, "--view", "path", "--candidate", "4")
    said = (
        "--candidate is for a path or a lineage, and an archive has all members; leave it out, or"
    )
    assert said in place.refuses("plot", "niches", *draw, *archive, "--candidate", "4")
    for view in (archive, lineage):
        said = "new: no candidate has been scored yet; evomerge resume goes on"
        assert said in place.refuses("plot", "new", *draw, *view)
        said = f"--view {view[1]} is of a study, but job.yaml is no study's folder"
        assert said in place.refuses("plot", "job.yaml", *draw, *view)
    assert "no candidate 9" in place.refuses("plot", "niches", *draw, *lineage, "--candidate", "9")
