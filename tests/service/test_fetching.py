"""A study is printed on its node and comes whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.jobs import FOLDER, STUDY
from evomerge.errors import InfrastructureError, UserError
from evomerge.recipe.genome import FloatGene
from evomerge.service.fetching import fetch
from evomerge.study.record import Study
from tests.service.local_jobs import LocalJobs
from tests.study.elsewhere import make

pytestmark = pytest.mark.process

GENES = (FloatGene(name="weight", low=0.0, high=1.0),)


class CutJobs(LocalJobs):
    """A cluster whose log has lost its end."""

    def follow(self, id_: str) -> Iterator[str]:
        yield self.logs(id_)[:-100]


class DepartedJobs(LocalJobs):
    """A cluster that the search's node has left: what has to run there finds no place."""

    def submit(self, id_: str, entrypoint: str, **keys: Any) -> None:
        self.runs = keys.get("node") is None
        super().submit(id_, entrypoint, **keys)
        if not self.runs:
            said = "Job supervisor actor could not be scheduled: its node is gone"
            self.jobs[id_] = replace(self.jobs[id_], state="FAILED", message=said)


def searched(jobs: LocalJobs, study: Path) -> LocalJobs:
    """A search that ran there, with its study."""
    metadata = {STUDY: "small", FOLDER: str(study)}
    jobs.submit("small-1", "true", files=None, environment={}, metadata=metadata)
    return jobs


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """On the cluster, being written: with a lock, a file that is not whole, and a link."""
    folder = tmp_path / "there" / "small"
    with Study.create(folder, name="small", job={"name": "small"}, genes=GENES):
        pass
    (folder / "examples" / "a").write_bytes(os.urandom(10_000))
    (folder / ".b.x.partial").mkdir()
    (folder / ".b.x.partial" / "half").write_text("")
    (folder / "link").symlink_to("/etc/hostname")
    (tmp_path / "cluster").mkdir()
    return folder


def test_a_study_comes_as_it_is(study: Path, tmp_path: Path) -> None:
    jobs = searched(LocalJobs(tmp_path / "cluster", version("ray")), study)
    out = tmp_path / "here"
    fetch(jobs, jobs.jobs["small-1"], out)
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {"study.json", "job.json", "journal.log", "examples/a"}
    for name in names:
        assert (out / name).read_bytes() == (study / name).read_bytes()
    assert jobs.nodes[-1] == "n1", "it was looked for on another node"
    assert list(jobs.jobs) == ["small-1"], "what sent it is still listed"
    with Study.open(out, write=False) as fetched:
        assert fetched.candidates() == []
    with pytest.raises(UserError, match="holds another study"):
        fetch(jobs, jobs.jobs["small-1"], out)


def test_a_study_is_looked_for_where_drivers_run_once_its_node_has_left(
    study: Path, tmp_path: Path
) -> None:
    jobs = searched(DepartedJobs(tmp_path / "cluster", version("ray")), study)
    fetch(jobs, jobs.jobs["small-1"], tmp_path / "here")
    assert (tmp_path / "here" / "study.json").read_bytes() == (study / "study.json").read_bytes()
    assert jobs.nodes[1:] == ["n1", None]
    assert list(jobs.jobs) == ["small-1"], "what was asked to send it is still listed"


def test_files_that_are_kept_elsewhere_are_read_there(study: Path, tmp_path: Path) -> None:
    """No job is asked for them, since what lies on a node is a copy."""
    artifacts, out = f"file://{tmp_path}/shared", tmp_path / "here"
    with make(tmp_path / "copy", f"sqlite:///{tmp_path}/study.db", artifacts, name="small"):
        pass
    jobs = searched(LocalJobs(tmp_path / "cluster", version("ray")), study)
    fetch(jobs, replace(jobs.jobs["small-1"], artifacts=artifacts), out)
    assert (out / "study.json").read_bytes() == (tmp_path / "copy" / "study.json").read_bytes()
    assert len(jobs.nodes) == 1, "a job was asked for it"


def test_what_does_not_come_whole_is_nothing(study: Path, tmp_path: Path) -> None:
    jobs = searched(CutJobs(tmp_path / "cluster", version("ray")), study)
    with pytest.raises(InfrastructureError, match="has not come whole"):
        fetch(jobs, jobs.jobs["small-1"], tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_a_study_that_is_not_there_yet_is_a_sentence(study: Path, tmp_path: Path) -> None:
    jobs = searched(LocalJobs(tmp_path / "cluster", version("ray")), tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"on the cluster: .*nowhere: is not a study"):
        fetch(jobs, jobs.jobs["small-1"], tmp_path / "here")
