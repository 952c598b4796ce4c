"""What benchmarks/sharing.py puts beside a study's own reports."""

from __future__ import annotations

from pathlib import Path

from sharing import share


def test_reports_of_the_splits_after_the_search_are_shared(tmp_path: Path) -> None:
    finished, study = tmp_path / "finished", tmp_path / "study"
    share(finished, study)  # not there: nothing to share
    assert not study.exists()
    (finished / "examples").mkdir(parents=True)
    for split in ("search", "validation", "holdout"):
        (finished / "examples" / f"model.{split}.json.gz").write_bytes(split.encode())
    (study / "examples").mkdir(parents=True)
    (study / "examples" / "model.holdout.json.gz").write_bytes(b"its own")
    share(finished, study)
    held = {path.name: path.read_bytes() for path in (study / "examples").iterdir()}
    after = {"model.holdout.json.gz": b"its own", "model.validation.json.gz": b"validation"}
    assert held == after
    share(finished, study, ("search",))
    assert (study / "examples" / "model.search.json.gz").read_bytes() == b"search"
