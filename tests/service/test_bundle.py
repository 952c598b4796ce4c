"""What goes along with a submitted job: the evaluator's files, as they lie to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.config import Job, read_job
from evomerge.errors import ConfigError
from evomerge.service import bundle
from evomerge.service.bundle import Bundle, make_bundle, placed
from tests.place import Place
from tests.small_job import SmallJob


def bundled(job: Job, into: Path) -> Bundle:
    into.mkdir()
    return make_bundle(job, into)


def test_a_task_folder_goes_along_and_means_the_same_elsewhere(tmp_path: Path) -> None:
    place = Place(tmp_path / "here")
    place.write()
    job = read_job(place.folder / "job.yaml")
    made = bundled(job, tmp_path / "sent")
    assert str(tmp_path) not in str(made.job["evaluator"]), "a path of this machine is left"
    there = tmp_path / "elsewhere"
    (tmp_path / "sent" / "files").rename(there)
    evaluator = placed(made.job["evaluator"], there)
    moved = type(job.evaluator).model_validate(evaluator)
    assert moved.digest() == job.evaluator.digest()
    assert moved.read_files[0].startswith(str(there))


def test_a_function_goes_alone_and_with_its_folder_from_a_catalog(
    small_job: SmallJob, tmp_path: Path
) -> None:
    (small_job.folder / "other.txt").write_text("not asked for")
    made = bundled(read_job(small_job.path), tmp_path / "alone")
    assert [path.name for path in (tmp_path / "alone" / "files").iterdir()] == ["scorer.py"]
    assert made.job["evaluator"]["path"] == f"{bundle.MARK}scorer.py"

    own = small_job.folder / "evaluators" / "mine"
    own.mkdir(parents=True)
    (own / "scorer.py").write_text((small_job.folder / "scorer.py").read_text())
    (own / "words.txt").write_text("one two")
    (own / ".hidden").write_text("")
    (own / "evaluator.yaml").write_text(
        "kind: python\ncallable: scorer:likely\nexamples: {search: 4, holdout: 5}\n"
    )
    small_job.write(evaluator="evaluators/mine/evaluator.yaml")
    made = bundled(read_job(small_job.path), tmp_path / "folder")
    names = {path.name for path in (tmp_path / "folder" / "files" / "mine").iterdir()}
    assert names == {"scorer.py", "words.txt", "evaluator.yaml"}
    assert made.job["evaluator"]["path"] == f"{bundle.MARK}mine/scorer.py"


def test_texts_of_several_folders_keep_their_places(small_job: SmallJob, tmp_path: Path) -> None:
    files = {}
    for split in ("search", "holdout"):
        folder = small_job.folder / "texts" / split
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text(f"words of {split}")
        files[split] = f"texts/{split}/a.txt"
    small_job.write(evaluator={"kind": "text", "tasks": {"words": None}, "splits": files})
    job = read_job(small_job.path)
    made = bundled(job, tmp_path / "sent")
    there = tmp_path / "sent" / "files"
    assert (there / "search" / "a.txt").read_text() == "words of search"
    moved = type(job.evaluator).model_validate(placed(made.job["evaluator"], there))
    assert moved.digest() == job.evaluator.digest()
    both: Any = {"kind": "mixture", "of": {"words": small_job.written["evaluator"]}}
    small_job.write(evaluator=both)
    assert read_job(small_job.path).evaluator.read_files == job.evaluator.read_files


def test_the_digest_follows_the_files_alone(small_job: SmallJob, tmp_path: Path) -> None:
    first = bundled(read_job(small_job.path), tmp_path / "1").digest
    small_job.write(seed=3)
    assert bundled(read_job(small_job.path), tmp_path / "2").digest == first
    with (small_job.folder / "scorer.py").open("a") as file:
        file.write("# changed\n")
    assert bundled(read_job(small_job.path), tmp_path / "3").digest != first


@pytest.mark.parametrize("fault", ["weights", "link", "large"])
def test_what_is_not_sent(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path / "here")
    place.write()
    job = read_job(place.folder / "job.yaml")
    (folder,) = map(Path, job.evaluator.read_files)
    law = {
        "weights": "model's weights, which are never sent",
        "link": "is a link out of",
        "large": "and at most",
    }[fault]
    match fault:
        case "weights":
            (folder / "model.safetensors").write_bytes(b"")
        case "link":
            (folder / "secret").symlink_to("/etc/hostname")
        case _:
            monkeypatch.setattr(bundle, "LIMIT", 10)
    with pytest.raises(ConfigError, match=law):
        bundled(job, tmp_path / "sent")
