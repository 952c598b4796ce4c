"""Reports and answers stay in the folder of the study, whatever lies there under whatever name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evomerge.errors import InfrastructureError, RecordError
from evomerge.evaluators.base import Report
from evomerge.study.answer_files import AnswerFiles
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.examples import Examples
from evomerge.study.kept_files import KeptFiles
from tests.study.elsewhere import Awkward, register

RECIPE, EVALUATOR = "a" * 64, "b" * 64
NAMES = [f"{RECIPE}.{'b' * 16}.search{suffix}" for suffix in (".json.gz", ".answers.json.gz")]


@pytest.fixture
def examples(tmp_path: Path, report: Report) -> Path:
    """A folder with a report and its answers."""
    folder = tmp_path / "examples"
    folder.mkdir()
    answered = report.model_copy(update={"answers": {"sums": ()}})
    Examples(folder).save(RECIPE, EVALUATOR, answered)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_link_is_refused_and_replaced(examples: Path, report: Report, name: str) -> None:
    outside = examples.parent / "outside"
    (examples / name).rename(outside)
    (examples / name).symlink_to(outside)
    before = outside.read_bytes()
    read = Examples(examples)
    load = read.load if name == NAMES[0] else read.load_answers
    with pytest.raises(RecordError, match=r"it is a link.*; delete it"):
        load(RECIPE, EVALUATOR, "search")
    read.save(RECIPE, EVALUATOR, report.model_copy(update={"answers": {"sums": ()}}))
    assert outside.read_bytes() == before
    assert not (examples / name).is_symlink()


@pytest.mark.parametrize("name", NAMES)
def test_a_link_to_nowhere_and_a_pipe_are_refused(examples: Path, name: str) -> None:
    (examples / name).unlink()
    (examples / name).symlink_to(examples.parent / "nowhere")
    with pytest.raises(RecordError, match="it is a link"):
        KeptFiles(examples).read(name)
    (examples / name).unlink()
    os.mkfifo(examples / name)
    with pytest.raises(RecordError, match="no regular file"):
        KeptFiles(examples).read(name)


def test_a_folder_that_is_a_link_is_neither_read_nor_written(
    examples: Path, report: Report
) -> None:
    """Put in its place after the study was opened, that is."""
    examples.rename(examples.parent / "outside")
    examples.symlink_to(examples.parent / "outside")
    names = sorted(path.name for path in examples.iterdir())
    with pytest.raises(RecordError, match="it is a link"):
        Examples(examples).load(RECIPE, EVALUATOR, "search")
    with pytest.raises(InfrastructureError, match="it is a link"):
        Examples(examples).save("c" * 64, EVALUATOR, report)
    with pytest.raises(OSError, match="it is a link"):
        AnswerFiles(KeptFiles(examples), most_bytes=0).save("c.d.search", {"sums": ()})
    with pytest.raises(OSError, match="it is a link"):
        KeptFiles(examples).remove(names[0])
    assert sorted(path.name for path in examples.iterdir()) == names


@pytest.mark.parametrize("digest", ["../outside", "/outside", "..\0"])
def test_a_digest_from_a_strangers_record_leads_nowhere(
    examples: Path, report: Report, digest: str
) -> None:
    with pytest.raises(RecordError, match="no name of a file"):
        Examples(examples).load(digest, EVALUATOR, "search")
    with pytest.raises(RecordError, match="no name of a file"):
        Examples(examples).save(digest, EVALUATOR, report)
    assert [path.name for path in examples.parent.iterdir()] == ["examples"]


def test_links_and_strange_names_among_the_answers_are_dropped_first(examples: Path) -> None:
    outside = examples.parent / "outside"
    outside.write_bytes(b"x" * 10_000)
    (examples / "x.answers.json.gz").symlink_to(outside)
    AnswerFiles(KeptFiles(examples), most_bytes=100).save("c.d.holdout", {"sums": ()})
    assert outside.stat().st_size == 10_000
    assert not (examples / "x.answers.json.gz").is_symlink()


def test_what_is_here_is_not_brought_again(tmp_path: Path) -> None:
    register()
    Awkward.reset()
    (tmp_path / "here").mkdir()
    elsewhere = ArtifactFolder(f"awkward://{tmp_path}/there")
    KeptFiles(tmp_path / "here", elsewhere, alone=True).write("a.gz", b"1")
    elsewhere.put("examples/b.gz", b"2")
    Awkward.calls.clear()
    KeptFiles(tmp_path / "here", elsewhere).fetch_all(".gz")
    assert [call for call in Awkward.calls if call.startswith("read")] == ["read b.gz"]
