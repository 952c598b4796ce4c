"""What a process apart has told is kept on disk, and asked again only where it has to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import SourceError
from evomerge.models.learned import asked

pytestmark = pytest.mark.process

HERE = "tests.models.test_learned"


def counted(request: dict[str, Any]) -> dict[str, Any]:
    """Tells how often it was asked."""
    file = Path(request["file"])
    times = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(times))
    return {"times": times}


def limited(request: dict[str, Any]) -> dict[str, Any]:
    return {"limit": request["limit"]}


def refused(request: dict[str, Any]) -> dict[str, Any]:
    raise SourceError(f"asked {counted(request)['times']}")


def test_an_answer_is_kept_and_a_damaged_one_is_asked_again(tmp_path: Path) -> None:
    kept = tmp_path / "new" / "kept"
    request = json.dumps({"file": str(tmp_path / "times")})
    for _ in range(2):
        assert asked(f"{HERE}:counted", request, kept) == {"times": 1}
    (file,) = kept.glob("*.json")
    file.write_text(file.read_text()[:-2])
    for _ in range(2):
        assert asked(f"{HERE}:counted", request, kept) == {"times": 2}


def test_infinity_comes_through(tmp_path: Path) -> None:
    """As in the configuration of a Mamba."""
    request = json.dumps({"file": str(tmp_path / "times"), "limit": [0.0, float("inf")]})
    assert asked(f"{HERE}:limited", request, tmp_path) == {"limit": [0.0, float("inf")]}
    assert asked(f"{HERE}:limited", request, tmp_path) == {"limit": [0.0, float("inf")]}


def test_a_refusal_is_not_kept(tmp_path: Path) -> None:
    request = json.dumps({"file": str(tmp_path / "times")})
    for times in (1, 2):
        with pytest.raises(SourceError, match=f"^asked {times}$"):
            asked(f"{HERE}:refused", request, tmp_path)


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    request = json.dumps({"file": str(tmp_path / "times")})
    assert asked(f"{HERE}:counted", request, None) == {"times": 1}
    assert asked(f"{HERE}:counted", request, None) == {"times": 2}
    blocked = tmp_path / "times" / "folder"  # below a file
    assert asked(f"{HERE}:counted", request, blocked) == {"times": 3}
