"""A place for files that hangs or was away: a sentence, and connections anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import UserError
from evomerge.study.patient_files import PatientFiles
from tests.study.elsewhere import Awkward, register


@pytest.fixture(autouse=True)
def awkward() -> Iterator[None]:
    register()
    Awkward.reset()
    yield
    Awkward.reset()


def listed(files: Any) -> list[Any]:
    return list(files.ls("/", detail=False))


def test_a_place_that_hangs_is_left(tmp_path: Path) -> None:
    Awkward.hangs_s = 0.5
    files = PatientFiles(f"awkward://{tmp_path}", answered_s=0.01)
    with pytest.raises(UserError, match=r"cannot be read \(no answer within 0 s\)"):
        files.ask("read", listed)


def test_a_place_that_was_away_is_connected_to_anew(tmp_path: Path) -> None:
    files = PatientFiles(f"awkward://{tmp_path}", pause_s=0.0)
    files.ask("read", listed)
    before = Awkward.made
    files.ask("read", listed)
    assert Awkward.made == before
    Awkward.down = 1
    files.ask("read", listed)
    assert Awkward.made == before + 1
