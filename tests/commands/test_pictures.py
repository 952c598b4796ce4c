"""Pictures from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.config import read_job
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.tree import Stack
from evomerge.recipe.yaml import parse_recipe
from evomerge.study.record import Study
from tests.commands.recipes import adapters, stack
from tests.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.write()
    return made


def test_a_path_is_drawn_in_the_format_that_the_name_says(place: Place) -> None:
    stack(place)
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        ended = place.run("plot", "path.yaml", "--out", f"pictures/path{suffix}")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == f"pictures/path{suffix}: path\n"
        assert (place.folder / "pictures" / f"path{suffix}").read_bytes().startswith(magic)
    assert "exists already" in place.refuses("plot", "path.yaml", "--out", "pictures/path.svg")


def test_what_cannot_be_drawn(place: Place) -> None:
    adapters(place, "ties")
    draw = ("--out", "path.svg")
    said = "recipe.yaml: a merge has no path to draw; only a stack has (data flow)"
    assert said in place.refuses("plot", "recipe.yaml", *draw, "--view", "path")
    (place.folder / "source.yaml").write_text("model: models/math")
    said = "source.yaml: no weights to draw, since a source is one model"
    assert said in place.refuses("plot", "source.yaml", *draw)
    said = "--view lineage is of a study, but recipe.yaml is no study's folder"
    assert said in place.refuses("plot", "recipe.yaml", *draw, "--view", "lineage")
    assert "models: is not a study" in place.refuses("plot", "models", *draw)
    assert "no such file" in place.refuses("plot", "nothing.yaml", *draw)
    stack(place)
    said = "path.jpeg: a picture's name ends in one of .pdf, .png, .svg, not in '.jpeg'"
    assert said in place.refuses("plot", "path.yaml", "--out", "path.jpeg")
    assert "not in ''" in place.refuses("plot", "path.yaml", "--out", "path")
    said = "--candidate names a candidate of a study, but path.yaml is no study's folder"
    assert said in place.refuses("plot", "path.yaml", *draw, "--candidate", "3")
    stack(place, hops=[{"of": "math", "layer": 3}])
    said = "path.yaml: hops.0: layer 3 of 'math', which has 3 (0 to 2)"
    assert said in place.refuses("plot", "path.yaml", *draw)


def test_the_weights_of_a_recipe_are_drawn(place: Place) -> None:
    adapters(place, "ties")
    ended = place.run("plot", "recipe.yaml", "--out", "weights.svg")
    assert ended.stdout == "weights.svg: recipe\n", ended.stderr
    assert (place.folder / "weights.svg").read_bytes().startswith(b"<?xml")
    ended = place.run("plot", "recipe.yaml")
    assert ended.stdout == "recipe.svg: recipe\n", ended.stderr
    assert (place.folder / "recipe.svg").exists()
    assert "recipe.svg: exists already" in place.refuses("plot", "recipe.yaml")


def test_a_path_is_drawn_where_the_models_are_not_at_hand(place: Place) -> None:
    stack(place, inputs={"math": {"model": "models/gone"}, "json": {"model": "org/gone"}})
    ended = place.run("plot", "path.yaml", "--out", "path.svg")
    assert ended.returncode == 0, ended.stderr


def test_the_paths_of_a_study(place: Place) -> None:
    recipe = stack(place)
    job = read_job(place.folder / "job.yaml").model_dump(mode="json")
    for source in recipe["inputs"].values():
        source["model"] = str(place.folder / source["model"])
    other = parse_recipe(recipe | {"hops": recipe["hops"][:1]}, origin="other", folder=place.folder)
    assert isinstance(other, Stack)
    genes = [FloatGene(name="g", low=0, high=1)]
    with Study.create(place.folder / "s", name="s", job=job, genes=genes) as study:
        study.ask(proposed_by="landmark", genome=(0.5,), recipe=other)
        study.ask(proposed_by="landmark", genome=(0.5,), recipe=other.inputs["math"])
        study.put("winner", {"label": "recommendation", "recipe": recipe, "fitness": 1.0})
    assert place.run("plot", "s", "--out", "winner.svg").stdout == (
        "winner.svg: recommendation\nmore with --view: convergence\n"
    )
    drawn = place.run("plot", "s", "--view", "path", "--candidate", "0")
    assert drawn.stdout == "s-path-0.svg: candidate 0\n"
    drawn = place.run("plot", "s", "--out", "other.svg", "--trial", "0")  # the older name
    assert drawn.stdout.startswith("other.svg: candidate 0\n")
    sizes = [(place.folder / name).stat().st_size for name in ("winner.svg", "other.svg")]
    assert sizes[0] > sizes[1]
    said = "s: candidate 1: a source has no path to draw"
    path = ("--view", "path", "--candidate", "1")
    assert said in place.refuses("plot", "s", "--out", "no.svg", *path)
    said = "s: recommendation: no weights to draw, since a stack has a path: --view path"
    assert said in place.refuses("plot", "s", "--out", "no.svg", "--view", "recipe")
    said = "s: no candidate has been scored yet"
    assert said in place.refuses("plot", "s", "--out", "no.svg", "--view", "convergence")
    assert "no candidate 2" in place.refuses("plot", "s", "--out", "no.svg", "--candidate", "2")


@pytest.mark.process
def test_what_draws_is_an_extra(place: Place) -> None:
    stack(place)
    code = (
        "import sys; sys.modules['matplotlib'] = None;"
        " from evomerge.commands.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "plot", "path.yaml", "--out", "path.svg"],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "evomerge: a picture needs matplotlib, which is not installed;"
        " `pip install evomerge[plots]`\n"
    )
    assert not (place.folder / "path.svg").exists()
