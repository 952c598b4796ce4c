"""Reports of other studies are used where they are of the same models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import evomerge
from evomerge.errors import UserError
from evomerge.study.lending import studies_in
from evomerge.study.record import Study
from tests.small_job import SmallJob


def asked(job: SmallJob, *splits: str) -> int:
    """How many examples the scorer was asked, of these splits or of all."""
    return sum(
        path.stat().st_size
        for path in job.folder.glob("asked-*")
        if (not splits or path.name.removeprefix("asked-") in splits)
    )


@pytest.fixture
def counting(small_job: SmallJob) -> SmallJob:
    """A job whose scorer notes each example that it is asked."""
    scorer = small_job.folder / "scorer.py"
    notes = str(small_job.folder / "asked-")
    note = (
        f"    with open({notes!r} + split, 'a') as file:\n        file.write('x' * len(places))\n"
    )
    scorer.write_text(scorer.read_text().replace("    pairs = []\n", note + "    pairs = []\n"))
    return small_job


def test_what_another_study_has_scored_is_not_evaluated_again(counting: SmallJob) -> None:
    runs = counting.folder / "runs"
    first = evomerge.search(counting.path, runs / "first")
    before = asked(counting)
    assert before > 6
    counting.write(reuse="runs", name="second")
    second = evomerge.search(counting.path, runs / "second")
    assert asked(counting) == before, "candidates, finalists and baselines: all of it was there"
    assert list(second.candidates.fitness) == list(first.candidates.fitness)
    assert list(second.candidates.attempts) == [0] * 6
    examples = len(first.examples)
    shutil.rmtree(runs / "first")
    assert len(evomerge.load(runs / "second").examples) == examples, "it kept them"


def test_a_part_is_taken_from_a_report_of_the_whole(counting: SmallJob) -> None:
    evomerge.search(counting.path, counting.folder / "first")
    before = asked(counting)
    schedule = {"kind": "estimated", "estimator": "anchors", "examples": 2, "whole_first": 0}
    # Three landmarks, then the same random recipes, on two of the four examples at first.
    counting.write(reuse=["first"], schedule=schedule)
    evomerge.search(counting.path, counting.folder / "second")
    with Study.open(counting.folder / "second", write=False) as study:
        staged = [candidate for candidate in study.candidates() if candidate.stages]
    assert len(staged) == 3
    assert asked(counting) == before


def test_a_whole_takes_the_parts_that_another_study_has(counting: SmallJob) -> None:
    schedule = {"kind": "estimated", "estimator": "anchors", "examples": 2, "whole_first": 0}
    counting.write(schedule=schedule)
    evomerge.search(counting.path, counting.folder / "first")
    with Study.open(counting.folder / "first", write=False) as study:
        candidates = study.candidates()
    before = asked(counting, "search")
    counting.write(reuse=["first"], schedule="whole", name="second")
    second = evomerge.search(counting.path, counting.folder / "second")
    of_second = asked(counting, "search") - before
    counting.write(reuse=[], name="alone")
    alone = evomerge.search(counting.path, counting.folder / "alone")
    assert list(second.candidates.fitness) == pytest.approx(list(alone.candidates.fitness))
    whole = {c.digest for c in candidates if c.fitness and c.estimated is None}
    halves = {c.digest for c in candidates} - whole
    assert of_second == 2 * len(halves) > 0, "two of four examples were there"


def test_other_weights_lend_nothing(counting: SmallJob) -> None:
    evomerge.search(counting.path, counting.folder / "first")
    with Study.open(counting.folder / "first", write=True) as study:
        study.put("sources", study.get("sources") | {"one": "another"})
    counting.write(reuse=["first"])
    with pytest.raises(
        UserError, match=r"reuse: .*first was made with other weights of the source"
    ):
        evomerge.search(counting.path, counting.folder / "second")
    assert not (counting.folder / "second").exists()


def test_a_folder_without_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reuse: .* is no study and has none right below it"):
        studies_in(tmp_path)
    with pytest.raises(UserError, match="is no study"):
        studies_in(tmp_path / "nowhere")
