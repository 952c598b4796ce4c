"""docs/extending.md: what it shows is installed with pip, listed, used in one job, and checked."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from evomerge.conformance import tiny_models
from evomerge.conformance.optimizers import LAWS, Subject
from tests.docs.pages import blocks

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

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "job.yaml").write_text(yaml.safe_dump(self.job))
        path = os.pathsep.join([str(self.root / "site"), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-c", "from evomerge.commands.main import main; main()", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


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
    ended = site.run("catalog", "--json")
    assert ended.returncode == 0, ended.stderr
    catalogs = json.loads(ended.stdout)
    assert catalogs["operators"]["fade"] == "Task vectors that fade with depth."
    assert catalogs["optimizers"]["hill"] == "Draws around the best point that is known."
    described = site.run("catalog", "hill").stdout
    assert "hill (optimizer of hill)" in described
    assert "Standard deviation of a draw" in described


@pytest.mark.slow
def test_one_job_uses_all_four(site: Site) -> None:
    ended = site.run("check", "job.yaml")
    assert ended.returncode == 0, ended.stderr
    ended = site.run("search", "job.yaml", "--out", "run")
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(site.run("show", "run", "--json").stdout)
    assert shown["best"][0]["recipe"]["method"] == "fade"
    assert list(shown["best"][0]["tasks"]) == ["count"]
    assert list(shown["best"][0]["genes"]) == ["t"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "settings", "sentence"),
    [
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
    ],
)
def test_a_typo_is_refused_by_check(
    site: Site, key: str, settings: dict[str, Any], sentence: str
) -> None:
    kept = site.job[key]
    site.job[key] = settings
    ended = site.run("check", "job.yaml")
    site.job[key] = kept
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_broken_package_stops_nobody_else(broken: Site) -> None:
    ended = broken.run("catalog", "--json")
    assert ended.returncode == 0, ended.stderr
    optimizers = json.loads(ended.stdout)["optimizers"]
    assert "No module named 'a_library_that_is_not_there'" in optimizers["hill"]
    assert optimizers["random"].startswith("Random search")
    ended = broken.run("check", "job.yaml")
    assert ended.returncode == 2
    assert ended.stderr.startswith("evomerge: job.yaml: optimizer: optimizer 'hill' of the package")
    assert ended.stderr.count("\n") == 1
    kept = broken.job["optimizer"]
    broken.job["optimizer"] = "random"
    ended = broken.run("check", "job.yaml")
    broken.job["optimizer"] = kept
    assert ended.returncode == 0, ended.stderr


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
