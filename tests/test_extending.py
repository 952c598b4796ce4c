"""docs/extending.md: what it shows is installed with pip, listed, used in one job, and checked."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from evomerge.conformance import tiny_models
from evomerge.conformance.optimizers import LAWS, Subject
from tests.docs.pages import blocks
from tests.place import Ended
from tests.service.commands import run_apart

PAGE = blocks("docs/extending.md")
MODULES = ("fade", "hill", "counting", "line")


def block(language: str, holds: str) -> str:
    """The page's one block of that language that has this in it."""
    (text,) = [b.text for b in PAGE if b.language == language and holds in b.text]
    return text


SOURCES = {
    "fade": block("python", "def fade"),
    "hill": block("python", "class Hill:"),
    "counting": block("python", "class Count:"),
    "line": block("python", "class Line("),
}
PROJECT = block("toml", "[build-system]").partition("[project.entry-points")[0]
ENTRIES = {
    "fade": '[project.entry-points."evomerge.operators"]\nfade = "fade:fade"\n',
    "hill": block("toml", "hill:Hill"),
    "counting": block("toml", "counting:Count"),
    "line": block("toml", "line:Line"),
}


def install(folder: Path, site: Path, modules: dict[str, str]) -> None:
    """Install a package for each module, as `pip install` does, into a folder of its own."""
    for name, source in modules.items():
        package = folder / name
        package.mkdir(parents=True)
        (package / f"{name}.py").write_text(source)
        project = PROJECT.replace('name = "fade"', f'name = "{name}"')
        only = f'\n[tool.hatch.build.targets.wheel]\ninclude = ["{name}.py"]\n'
        (package / "pyproject.toml").write_text(project + ENTRIES[name] + only)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    folders = [str(folder / name) for name in modules]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *folders], check=True)


class Site:
    """A folder with a job, run where packages are installed in `site`."""

    def __init__(self, root: Path) -> None:
        """`root`: the folder `here`, with models, and the packages in `site`."""
        self.root, self.folder = root, root / "here"
        self.job: dict[str, Any] = yaml.safe_load(block("yaml", "kind: line"))

    def write(self, name: str, **changes: Any) -> None:
        """The page's job, or another one."""
        (self.folder / name).write_text(yaml.safe_dump(self.job | changes))

    def run(self, *commands: Sequence[str]) -> list[Ended]:
        """Each command, in one process that imports the packages."""
        path = os.pathsep.join([str(self.root / "site"), os.environ.get("PYTHONPATH", "")])
        return run_apart(self.folder, {**os.environ, "PYTHONPATH": path}, *commands)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("whole")
    for seed, name in enumerate(("base", "math")):
        tiny_models.build(root / "here" / "models" / name, seed=seed)
    install(root / "packages", root / "site", SOURCES)
    return Site(root)


@pytest.fixture(scope="module")
def broken(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same packages, installed once, but that the optimizer's cannot be imported."""
    root = shutil.copytree(site.root, tmp_path_factory.mktemp("broken") / "whole")
    (root / "site" / "hill.py").write_text("import a_library_that_is_not_there\n")
    return Site(root)


@pytest.mark.parametrize("name", MODULES)
def test_each_takes_less_than_thirty_lines(name: str) -> None:
    lines = [line for line in SOURCES[name].splitlines() if line.strip()]
    assert len(lines) < 30


@pytest.mark.slow
def test_they_are_listed_like_built_in_ones(site: Site) -> None:
    listed, described = site.run(("catalog", "--json"), ("catalog", "hill"))
    assert listed.returncode == 0, listed.stderr
    catalogs = json.loads(listed.stdout)
    assert catalogs["operators"]["fade"] == "Task vectors that fade with depth."
    assert catalogs["optimizers"]["hill"] == "Draws around the best point that is known."
    assert "hill (optimizer of hill)" in described.stdout
    assert "Standard deviation of a draw" in described.stdout


@pytest.mark.slow
def test_one_job_uses_all_four(site: Site) -> None:
    site.write("job.yaml")
    checked, searched, shown = site.run(
        ("check", "job.yaml"),
        ("search", "job.yaml", "--out", "run"),
        ("show", "run", "--json"),
    )
    assert checked.returncode == 0, checked.stderr
    assert searched.returncode == 0, searched.stderr
    (best, *_) = json.loads(shown.stdout)["best"]
    assert best["recipe"]["method"] == "fade"
    assert list(best["tasks"]) == ["count"]
    assert list(best["genes"]) == ["t"]


TYPOS: list[tuple[str, dict[str, Any], str]] = [
    ("optimizer", {"kind": "hill", "stp": 1}, "'optimizer.stp'; did you mean 'step'?"),
    ("evaluator", {"kind": "count", "upto": 4}, "'upto'; did you mean 'up_to'?"),
    (
        "space",
        {"kind": "line", "start": "base", "end": "maths"},
        "'maths' is not among the sources; did you mean 'math'?",
    ),
    (
        "space",
        {"kind": "line", "start": "base", "end": "math", "method": "fad"},
        "did you mean 'fade'?",
    ),
]


@pytest.mark.slow
def test_a_typo_is_refused_by_check(site: Site) -> None:
    for number, (key, settings, _) in enumerate(TYPOS):
        site.write(f"{number}.yaml", **{key: settings})
    refused = site.run(*(("check", f"{number}.yaml") for number in range(len(TYPOS))))
    for ended, (_, _, sentence) in zip(refused, TYPOS, strict=True):
        assert ended.returncode == 2
        assert sentence in ended.stderr
        assert ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_broken_package_stops_nobody_else(broken: Site) -> None:
    broken.write("job.yaml")
    broken.write("random.yaml", optimizer="random")
    listed, refused, checked = broken.run(
        ("catalog", "--json"), ("check", "job.yaml"), ("check", "random.yaml")
    )
    assert listed.returncode == 0, listed.stderr
    optimizers = json.loads(listed.stdout)["optimizers"]
    assert "No module named 'a_library_that_is_not_there'" in optimizers["hill"]
    assert optimizers["random"].startswith("Random search")
    assert refused.returncode == 2
    sentence = "evomerge: job.yaml: optimizer: optimizer 'hill' of the package"
    assert refused.stderr.startswith(sentence)
    assert refused.stderr.count("\n") == 1
    assert checked.returncode == 0, checked.stderr


@pytest.fixture(scope="module")
def hill(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The optimizer's module, loaded from a file."""
    file = tmp_path_factory.mktemp("hill") / "hill_of_the_page.py"
    file.write_text(SOURCES["hill"])
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("law", LAWS)
def test_the_optimizer_keeps_the_contract(law: str, hill: ModuleType) -> None:
    LAWS[law](Subject(make=lambda problem: hill.Hill(hill.HillConfig(), problem)))
