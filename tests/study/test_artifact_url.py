"""Which URLs a study's files may have, and who names them."""

from __future__ import annotations

import pytest

from evomerge.errors import UserError
from evomerge.study.artifact_url import (
    ARTIFACTS,
    check_artifacts_url,
    name_artifacts,
    named_artifacts,
    scrubbed_of_secrets,
    study_url,
)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/shared/runs", "is no URL; write one as file:///shared/runs"),
        ("file://shared/runs", "begins with a slash: file:///shared/runs"),
        ("s3://KEY:SECRET@bucket/runs", "holds credentials"),
        ("sftp://me:SECRET@host/runs", "holds credentials"),
        ("https://host/runs?sig=SECRET", "holds credentials"),
        ("file:///a/*", "without spaces"),
        ("simplecache::s3://bucket", "is no URL"),
        ("memory://runs", "gone with the process"),
        ("ss3://bucket/runs", "did you mean 's3'"),
        ("env:NO_SUCH_VARIABLE", "no variable 'NO_SUCH_VARIABLE'"),
        ("env:SECRET_URL", "holds credentials"),
    ],
)
def test_what_is_refused_shows_no_secret(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_URL", "ftp://me:SECRET@host/runs")
    with pytest.raises(UserError, match=r"^artifacts") as caught:
        check_artifacts_url(url)
    assert said in str(caught.value)
    assert "SECRET@" not in str(caught.value)
    assert "sig=SECRET" not in str(caught.value)


def test_a_protocol_whose_library_is_missing_names_it() -> None:
    with pytest.raises(UserError, match=r"is not installed .*ocifs"):
        check_artifacts_url("oci://bucket/runs")


def test_a_study_has_a_folder_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "file:///shared/runs/")
    assert study_url("env:PLACE", "math json") == "file:///shared/runs/math json"
    with pytest.raises(UserError, match="the job's name"):
        study_url("file:///shared", "what?")


def test_a_study_does_not_decide_where_files_go(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = "file:///shared/somebodys/one"
    monkeypatch.delenv(ARTIFACTS, raising=False)
    with pytest.raises(UserError, match="does not decide where files are read and written"):
        named_artifacts(recorded)
    monkeypatch.setenv(ARTIFACTS, "file:///moved")
    assert named_artifacts(recorded) == "file:///moved/one"
    monkeypatch.setenv(ARTIFACTS, "file:///moved/one")
    assert named_artifacts(recorded) == "file:///moved/one"
    monkeypatch.delenv(ARTIFACTS)
    name_artifacts("file:///copied/one", "file:///shared/elsewhere/one")
    assert named_artifacts("file:///shared/elsewhere/one") == "file:///copied/one"


def test_a_librarys_message_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    said = "\nwJalrXUtnFEMI is wrong for https://host/x?X-Amz-Signature=ab12\nand more"
    assert scrubbed_of_secrets(said) == "*** is wrong for https://host/x?***"
