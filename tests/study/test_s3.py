"""A study's files in an object store that speaks S3, where both of these are installed beside us:
`pip install s3fs 'moto[server]'`.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.evaluators.base import Report
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.database_url import STORAGE
from evomerge.study.fetching import STUDIES, fetch_study
from evomerge.study.record import Study
from tests.study.elsewhere import ask, make

pytestmark = pytest.mark.process


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A bucket's URL on a server of this process."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    servers = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = servers.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET-of-somebody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path}/study.db")
    monkeypatch.setenv(STUDIES, str(tmp_path / "copies"))
    name = f"bucket-{secrets.token_hex(4)}"  # of servers in one process each has all buckets
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
    yield f"s3://{name}/runs"
    server.stop()


def test_another_machine_goes_on_from_a_bucket(bucket: str, tmp_path: Path, report: Report) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    with make(tmp_path / "first", storage, bucket) as study:
        for number, digest in enumerate("abc"):
            assert ask(study) == number
            study.reports.save(digest * 64, "e" * 64, report)
            study.tell(number, report, (0.5,), worker="w")
    shutil.rmtree(tmp_path / "first")
    with Study.open(fetch_study(f"{bucket}/one"), write=True) as study:
        assert study.reports.load("b" * 64, "e" * 64, "search") == report
        study.reports.fetch()
        assert len(list((study.path / "examples").iterdir())) == 3
        study.reports.save("d" * 64, "e" * 64, report)
    assert len(ArtifactFolder(f"{bucket}/one").names("examples")) == 4


def test_a_bucket_that_is_not_there(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^artifacts s3://nobodys/one: cannot be written") as said:
        make(tmp_path / "first", f"sqlite:///{tmp_path}/study.db", "s3://nobodys")
    assert "SECRET" not in str(said.value)
    assert not (tmp_path / "first").exists()
