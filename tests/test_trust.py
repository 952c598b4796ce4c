"""Code that a job names does not run without consent."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evomerge.errors import ConfigError
from evomerge.trust import VARIABLE, require_trust, trust_job
from tests.place import Place

EVALUATOR = {
    "kind": "python",
    "callable": "own:score",
    "examples": {"search": 1, "validation": 1, "holdout": 1},
}


@pytest.fixture(autouse=True)
def _no_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # and put back after the test what was there


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.job["evaluator"] = EVALUATOR
    (tmp_path / "own.py").write_text("raise SystemExit('it has run')")
    place.write()
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(EVALUATOR))
    return place


def test_without_code_there_is_nothing_to_trust() -> None:
    require_trust(())
    with pytest.raises(ConfigError, match=r"code that the job names \(a:b, c:d\).*--trust-job"):
        require_trust(("a:b", "c:d"))
    trust_job()
    require_trust(("a:b",))


def test_a_mixture_names_the_code_of_its_parts(place: Place) -> None:
    place.job["evaluator"] = ["evaluator.yaml", "own.yaml"]
    place.write()
    assert "own:score" in place.refuses("check", "job.yaml")


@pytest.mark.parametrize(
    "command",
    [
        ("check", "job.yaml"),
        ("search", "job.yaml", "--out", "study"),
        ("evaluate", "models/base", "--evaluator", "own.yaml"),
    ],
)
def test_commands_ask_for_consent_and_run_nothing(place: Place, command: tuple[str, ...]) -> None:
    said = place.refuses(*command)
    assert "--trust-job" in said
    assert "own:score" in said


def test_with_consent_a_check_goes_on_and_still_runs_nothing(place: Place) -> None:
    ended = place.run("check", "job.yaml", "--trust-job")
    assert ended.returncode == 0, ended.stderr
    assert "it has run" not in ended.stderr
