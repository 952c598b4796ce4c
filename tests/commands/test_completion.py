"""What a shell completes: entries of catalogs, and YAML files where one may be named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("_EVOMERGE_COMPLETE", "complete_bash")
    return Place(tmp_path / "here")


def completed(place: Place, monkeypatch: pytest.MonkeyPatch, typed: str) -> list[str]:
    """What bash is given for the last word of the line."""
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    ended = place.run()
    assert ended.stderr == ""
    return ended.stdout.split()


def test_names_of_the_catalog(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(place, monkeypatch, "evomerge catalog dare") == ["dare_linear", "dare_ties"]
    assert completed(place, monkeypatch, "evomerge catalog opt") == ["optimizers", "optuna"]
    (place.folder / "mine" / "evaluators").mkdir(parents=True)
    (place.folder / "mine" / "evaluators" / "optional.yaml").write_text("kind: python")
    line = "evomerge catalog --catalog mine opt"
    assert completed(place, monkeypatch, line) == ["optimizers", "optional", "optuna"]
    assert completed(place, monkeypatch, "evomerge catalog --catalog gone opt")[-1] == "optuna"


def test_evaluators_and_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write()
    line = "evomerge evaluate models/base --evaluator "
    names = completed(place, monkeypatch, line)
    assert {"json_math", "evaluator.yaml", "job.yaml", "tasks/"} <= set(names)
    assert completed(place, monkeypatch, f"{line}tasks/s") == ["tasks/sums.yaml"]
    assert completed(place, monkeypatch, f"{line}json_math_v") == ["json_math_varied"]
