"""Two that want one folder or one name, and a kill at any step: a study is whole or not there."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from evomerge.errors import UserError
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.study.database_url import STORAGE
from evomerge.study.record import Study

GENES = (FloatGene(name="a", low=0.0, high=1.0),)
REFUSED, KILLED = 2, -signal.SIGKILL
OURS = ("evomerge/study", "evomerge/publish", "evomerge/held_folders", "optuna/storages")
"""Where a step is a call of a function."""


def make(folder: Path, url: str | None, seed: int = 1) -> Study:
    return Study.create(folder, name="one", job={"seed": seed}, genes=GENES, storage_url=url)


def ask(study: Study) -> None:
    number = len(study.candidates())
    study.ask(proposed_by="optimizer", proposal=number, genome=(0.5,), recipe=Source(model="model"))


def begin(what: Callable[[], Any]) -> int:
    """Do it in a process of its own; the process."""
    process = os.fork()
    if not process:
        code = 1
        try:
            what()
            code = 0
        except UserError:
            code = REFUSED
        finally:
            os._exit(code)
    return process


def end(process: int) -> int:
    """How it ended: an exit code, or a signal's number below 0."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.fixture(params=["journal", "database"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], str | None]:
    """A storage for each turn: the journal, or a database whose tables are there, and named."""
    if request.param == "journal":
        return lambda turn: None
    tables = tmp_path / "tables.db"
    Study.create(
        tmp_path / "other", name="other", job={}, genes=GENES, storage_url=f"sqlite:///{tables}"
    ).close()

    def named(turn: int) -> str:
        url = f"sqlite:///{shutil.copy(tables, tmp_path / f'{turn}.db')}"
        monkeypatch.setenv(STORAGE, url)
        return url

    return named


@pytest.mark.process
@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_of_two_that_begin_at_once_one_has_the_folder(
    tmp_path: Path, storage: Callable[[int], str | None], there: bool
) -> None:
    for turn in range(6):
        folder = tmp_path / str(turn)
        if there:
            folder.mkdir()
        url = storage(turn)
        start, go = os.pipe()

        def search(folder: Path, url: str | None, seed: int, start: int, go: int) -> None:
            os.close(go)
            os.read(start, 1)  # ends for both at once: when the last writer closes
            with make(folder, url, seed) as study:
                for _ in range(3):
                    ask(study)

        processes = [begin(partial(search, folder, url, seed, start, go)) for seed in (1, 2)]
        os.close(go)
        codes = [end(process) for process in processes]
        os.close(start)
        assert sorted(codes) == [0, REFUSED]
        with Study.open(folder, write=True) as study:
            assert study.job == {"seed": codes.index(0) + 1}
            assert len(study.candidates()) == 3
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_of_two_folders_that_want_one_name_in_a_database_one_has_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    with make(tmp_path / "first", url) as study:
        ask(study)
    with pytest.raises(UserError, match="holds a study called 'one' already"):
        make(tmp_path / "second", url)
    assert not (tmp_path / "second").exists()


def test_a_folder_does_not_open_the_study_of_another_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    make(tmp_path / "first", url).close()
    make(tmp_path / "second", f"sqlite:///{tmp_path}/else.db").close()
    shutil.copy(tmp_path / "studies.db", tmp_path / "else.db")
    with pytest.raises(UserError, match="is that of another folder"):
        Study.open(tmp_path / "second", write=True)


def killed_at(step: int, what: Callable[[], Any]) -> bool:
    """Whether the process that did it was killed at its so manyth step; it ended well otherwise."""
    left = step

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event == "call" and any(place in frame.f_code.co_filename for place in OURS):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    def run() -> None:
        sys.setprofile(count)
        what()

    code = end(begin(run))
    assert code in (0, KILLED)
    return code == KILLED


@pytest.mark.process
@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_a_kill_at_any_step_leaves_a_study_or_room_for_one(
    tmp_path: Path, storage: Callable[[int], str | None], there: bool
) -> None:
    step = turns = 1
    while True:
        folder = tmp_path / f"study-{step}"
        if there:
            folder.mkdir()
        url = storage(step)
        if not killed_at(step, partial(make, folder, url)):
            break
        is_there = (folder / "study.json").exists()
        with Study.open(folder, write=True) if is_there else make(folder, url) as study:
            ask(study)
        with Study.open(folder, write=False) as study:
            assert len(study.candidates()) == 1
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(f".{folder.name}")]
        step, turns = step + (7 if url is None else 23), turns + 1
    assert turns > 10
