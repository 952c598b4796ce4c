"""Search spaces of another package are listed, checked and built like ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.errors import ConfigError
from evomerge.search_spaces.registry import SPACES, read_space
from tests.place import Place
from tests.plugins.installed import offer

PACKAGE = '''
"""One gene: how far along the line from the base to a model."""
from typing import Literal
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.tree import Merge, Rule
from evomerge.search_spaces.base import SearchSpace, SpaceConfig, check_names

class LineConfig(SpaceConfig):
    """The line through two models."""
    kind: Literal["line"] = "line"
    start: str
    """The source at 0."""
    end: str
    """The source at 1."""

class Line(SearchSpace):
    config = LineConfig
    def __init__(self, config, sources, models):
        check_names([config.start, config.end], sources, "space")
        self._inputs = {"start": sources[config.start], "end": sources[config.end]}
    @property
    def genes(self):
        return (FloatGene(name="t", low=0, high=1.5),)
    def recipe(self, genome):
        rule = Rule(inputs={"end": {"weight": self.genes[0].value(genome[0])}})
        return Merge(method="task_arithmetic", base="start", inputs=self._inputs, rules=(rule,))
'''


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A job over the space of a package that is installed beside it."""
    place = Place(tmp_path / "here")
    site = tmp_path / "site"
    site.mkdir()
    offer(site, "linepackage", PACKAGE, {"evomerge.search_spaces": {"line": "Line"}})
    place.job["space"] = {"kind": "line", "start": "base", "end": "math"}
    place.write()
    return place


def run(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line where the package is installed."""
    path = os.pathsep.join([str(place.folder.parent / "site"), os.environ.get("PYTHONPATH", "")])
    code = "from evomerge.commands.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.process
def test_a_space_of_another_package_is_checked(place: Place) -> None:
    assert len(PACKAGE.strip().splitlines()) < 30
    ended = run(place, "check", "job.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert '"genes": 1' in ended.stdout
    ended = run(place, "catalog", "search_space_kinds", "--json")
    assert '"line": "The line through two models."' in ended.stdout
    ended = run(place, "schema")
    assert "The source at 0." in ended.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"kind": "line", "start": "base", "ende": "math"},
            "job.yaml: unknown key 'space.ende'; did you mean 'end'?",
        ),
        (
            {"kind": "line", "start": "bse", "end": "math"},
            "job.yaml: space: 'bse' is not among the sources; did you mean 'base'?",
        ),
        (
            {"kind": "lin", "start": "base", "end": "math"},
            "job.yaml: space: unknown search space 'lin'; did you mean 'line'?",
        ),
    ],
)
def test_its_typos_are_refused(place: Place, space: dict[str, str], said: str) -> None:
    place.job["space"] = space
    place.write()
    ended = run(place, "check", "job.yaml")
    assert (ended.returncode, ended.stderr) == (2, f"evomerge: {said}\n")


WANDERING = """
from evomerge.search_spaces.base import SearchSpace, SpaceConfig
from evomerge.recipe.genome import ChoiceGene
class WanderConfig(SpaceConfig):
    "Each source as it is."
    kind: str = "wander"
class Wander(SearchSpace):
    config = WanderConfig
    def __init__(self, config, sources, models):
        self._sources = sources
    @property
    def genes(self):
        return (ChoiceGene(name="of", choices=tuple(self._sources)),)
    def recipe(self, genome):
        return self._sources[genome[0]]
"""


FAILING = """
from evomerge.search_spaces.base import SearchSpace, SpaceConfig
class FailConfig(SpaceConfig):
    "Fails."
    kind: str = "fail"
class Fail(SearchSpace):
    config = FailConfig
    def __init__(self, config, sources, models):
        pass
    genes = ()
    def recipe(self, genome):
        return 1 / 0
"""


def test_a_space_that_fails_is_one_sentence_about_its_package(place: Place) -> None:
    site = place.folder.parent / "site"
    offer(site, "failpackage", FAILING, {"evomerge.search_spaces": {"fail": "Fail"}})
    place.job["space"] = {"kind": "fail"}
    place.write()
    ended = run(place, "check", "job.yaml")
    sentence = (
        "evomerge: job.yaml: search space 'fail' of the package failpackage fails:"
        " ZeroDivisionError: division by zero\n"
    )
    assert (ended.returncode, ended.stderr) == (2, sentence)


def test_a_space_whose_recipes_have_several_donors_is_refused(place: Place) -> None:
    site = place.folder.parent / "site"
    offer(site, "wanderpackage", WANDERING, {"evomerge.search_spaces": {"wander": "Wander"}})
    place.job["space"] = {"kind": "wander"}
    place.write()
    ended = run(place, "check", "job.yaml")
    assert ended.returncode == 2, ended.stderr
    assert "job.yaml: space: its recipes take configuration and tokenizer from" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_every_built_in_space_can_be_loaded() -> None:
    assert list(SPACES.names()) == ["dataflow", "parameter", "segments"]
    assert not [line for line in SPACES.names().values() if line.startswith("broken")]


def test_a_fault_in_a_catalog_entry_names_the_entry(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("kind: segments\nresolutoin: 3\n")
    with pytest.raises(ConfigError) as caught:
        read_space("space.yaml", folder=tmp_path, origin="job.yaml", key="space")
    entry = tmp_path / "space.yaml"
    assert str(caught.value) == f"{entry}: unknown key 'resolutoin'; did you mean 'resolution'?"
