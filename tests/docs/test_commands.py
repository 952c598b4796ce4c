"""The commands and the Python of each page, run in their order in a folder of the reader's."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from tests.docs.pages import PAGES, ROOT, Block, blocks
from tests.docs.world import OF_ADAPTERS, TEXT, Reader

MODULE = "python_of_the_page"
SMALL = {
    "evaluate": ["--engine", "transformers"],
    "measure": ["--examples", "2", "--length", "16", "--device", "cpu"],
    "learn": ["--set", "steps=2", "--set", "length=16", "--device", "cpu"],
}
"""What is added to a command so that it ends soon."""


def lines(text: str) -> Iterator[list[str]]:
    """The commands of a block, as words."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


def makes(reader: Reader, words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words[1:]) <= set(targets)


def installs(reader: Reader, words: list[str]) -> None:
    """What a package index has is not looked up; extras of ours have to exist."""
    project = (ROOT / "pyproject.toml").read_text()
    for extra in re.findall(r"evomerge\[([\w,-]+)\]", " ".join(words)):
        assert all(re.search(rf"^{name} = \[", project, re.MULTILINE) for name in extra.split(","))
    assert words[1] == "install"


def runs_file(reader: Reader, words: list[str]) -> None:
    """Scripts that train for hours or measure for minutes have tests of their own."""
    assert (ROOT / words[1]).is_file() or words[1] in ("-m", "-c")


def opens_record(reader: Reader, words: list[str]) -> None:
    reader.provide(str(Path(words[1]).parent))
    assert (reader.folder / words[1]).exists()


def stands_for_itself(reader: Reader, words: list[str]) -> None:
    """The reader's own machine: nothing of ours to try."""


def names_files(reader: Reader, words: list[str]) -> None:
    """Somebody's cluster: nothing of ours to try but that its files are there."""
    ours = [word for word in words if word.startswith("cluster/")]
    assert [word for word in ours if not (ROOT / word).is_file()] == []


def edits(reader: Reader, words: list[str]) -> None:
    reader.provide(words[-1])
    subprocess.run(words, cwd=reader.folder, check=True)


OUTSIDE: dict[str, Callable[[Reader, list[str]], None]] = {
    "make": makes,
    "pip": installs,
    "python": runs_file,
    "optuna-dashboard": opens_record,
    "pre-commit": stands_for_itself,
    "git": stands_for_itself,
    "cd": stands_for_itself,
    "python3": stands_for_itself,
    "source": stands_for_itself,
    **dict.fromkeys(("docker", "kubectl", "ray", "sbatch", "sky", "squeue"), names_files),
    **dict.fromkeys(("export", "(umask"), stands_for_itself),
    "sed": edits,
}
"""Commands that are not ours: what can be said of them without running them."""


def training(reader: Reader) -> dict[str, Any]:
    """docs/statistics.md: a model that was trained, and its optimizer."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(reader.provide("models/math"))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss.backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def searched(reader: Reader) -> dict[str, Any]:
    """docs/comparison.md: a study."""
    reader.provide("runs/a")
    return {}


def results(reader: Reader) -> dict[str, Any]:
    """docs/python.md: a study over paths, a recipe over adapters, and a model of the hub."""
    reader.provide("examples/dataflow.yaml")
    ended = reader.run("search", "examples/dataflow.yaml", "--out", "runs/first")
    assert ended.returncode == 0, ended.stderr
    (reader.folder / "evaluators" / "mine.yaml").write_text(yaml.safe_dump(TEXT))
    (reader.folder / "recipe.yaml").write_text(yaml.safe_dump(reader.models.placed(OF_ADAPTERS)))
    for name in ("job.yaml", "owner/name"):
        reader.provide(name)
    return {}


def scoring(reader: Reader) -> dict[str, Any]:
    """README.md: a scoring of one's own."""
    reader.provide("job.yaml")
    return {"my_score": lambda recipe: float(len(str(recipe)) % 7)}


def nothing(reader: Reader) -> dict[str, Any]:
    """Any other page: its Python makes what it speaks of."""
    return {}


GIVEN: dict[str, Callable[[Reader], dict[str, Any]]] = {
    "README.md": scoring,
    "docs/comparison.md": searched,
    "docs/python.md": results,
    "docs/statistics.md": training,
}
"""What the Python of a page speaks of and does not make."""


class Session:
    """The names that the Python of a page has made so far, in a module of their own."""

    def __init__(self, reader: Reader, given: Callable[[Reader], dict[str, Any]]) -> None:
        self._reader, self._given = reader, given
        self._module = ModuleType(MODULE)

    def run(self, block: Block) -> None:
        """Run a block; of a test in it the first case, if it has several."""
        if self._module.__name__ not in sys.modules:
            sys.modules[self._module.__name__] = self._module
            vars(self._module).update(self._given(self._reader))
        before = set(vars(self._module))
        with contextlib.chdir(self._reader.folder), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block.text, str(block), "exec"), vars(self._module))
            for name in vars(self._module).keys() - before:
                if name.startswith("test_"):
                    test = vars(self._module)[name]
                    cases = [iter(mark.args[1]) for mark in getattr(test, "pytestmark", ())]
                    test(*map(next, cases))


@pytest.fixture
def _environment() -> Iterator[None]:
    """`--trust-job` lasts as long as the process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    sys.modules.pop(MODULE, None)


STARTS_PROCESSES = {"docs/files.md", "docs/niches.md"}
"""sed, and what measures Gram matrices."""
WITH_CODE = [
    pytest.param(
        page,
        marks=[
            pytest.mark.slow,
            *([pytest.mark.process] if page in STARTS_PROCESSES else []),
        ],
    )
    for page in PAGES
    if any(block.language in ("bash", "python", "sh") for block in blocks(page))
]


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("page", WITH_CODE)
def test_it_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    shown = blocks(page)
    reader = Reader(tmp_path)
    session = Session(reader, GIVEN.get(page, nothing))
    ran = [run(reader, session, block) for block in shown if not block.reason]
    assert any(ran)


def run(reader: Reader, session: Session, block: Block) -> bool:
    """Whether there was something to run."""
    if block.language == "yaml":
        reader.read(yaml.safe_load(block.text))
    if block.language == "python":
        session.run(block)
        return True
    if block.language not in ("bash", "sh"):
        return False
    for words in lines(block.text):
        words[0] = Path(words[0]).name
        if words[0] == "evomerge":
            arguments, file = (words[1:-2], words[-1]) if ">" in words else (words[1:], None)
            ended = reader.run(*arguments, *SMALL.get(arguments[0], []))
            assert ended.returncode == 0, f"{block}: {' '.join(words)}\n{ended.stderr}"
            if file:
                (reader.folder / file).write_text(ended.stdout)
        else:
            assert words[0] in OUTSIDE, f"{block}: {words[0]}: say in OUTSIDE how it is tried"
            OUTSIDE[words[0]](reader, words)
    return True
