from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.study.database_url import (
    PASSWORD,
    STORAGE,
    masked,
    name_database,
    named_database,
    scrubbed,
    without_secrets,
)
from evomerge.study.record import Study

URLS = [
    "postgresql://me:SECRET@host/db",
    "postgresql+psycopg://me:SECRET@host:5432/db?sslmode=require",
    "postgresql://host/db?user=me&password=SECRET",
    "postgresql://host/db?PASSWORD=SECRET&sslpassword=SECRET",
    "postgresql://me:SECRET@/db?host=one:5432&host=two:5432",
    "postgresql://me:SECRET%40SECRET%2FSECRET@host/db",
    "mysql://me:SECRET@host/db",
    "postgresql://me:SECRET/SECRET@host/db",
    "postgresql://me:12/SECRET@host/db",
    "mssql+pyodbc:///?odbc_connect=Driver%3Dx%3BPWD%3DSECRET",
]
UNREADABLE = [
    "postgresql://me:SEC@SECRET@host/db",
    "postgresql://me:SECRET@host:port/db",
    "postgresql://me:SECRET@one:5432,two:5432/db",
    "me:SECRET@host/db",
]


@pytest.mark.parametrize("url", URLS + UNREADABLE)
def test_a_password_is_masked_in_every_form(url: str) -> None:
    assert "SECRET" not in masked(url)
    assert "SECRET" not in scrubbed(f"cannot connect to {url}", url)


@pytest.mark.parametrize("url", URLS)
def test_a_file_gets_no_password(url: str) -> None:
    assert "SECRET" not in without_secrets(url)
    assert without_secrets(without_secrets(url)) == without_secrets(url)


def test_a_path_and_a_url_without_secrets_stay() -> None:
    for url in ("sqlite:////home/a@b/x.db", "postgresql://me@host:5432/db", "nonsense"):
        assert masked(url) == url


@pytest.mark.parametrize("url", UNREADABLE)
def test_an_unreadable_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UserError) as caught:
        name_database(url)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_drivers_message_is_scrubbed() -> None:
    url = "postgresql://me:p%40ss%20word@host/db"
    said = scrubbed(f"bad dsn 'p@ss word', p%40ss%20word, {url}", url)
    assert said == "bad dsn '***', ***, postgresql://me:***@host/db"


def test_the_environment_gives_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "p@ss")
    url, recorded = name_database("postgresql://me@host/db")
    assert (url, recorded) == ("postgresql://me:p%40ss@host/db", "postgresql://me@host/db")
    monkeypatch.setenv("MY_DATABASE", "postgresql://you:other@host/db")
    url, recorded = name_database("env:MY_DATABASE")
    assert (url, recorded) == ("postgresql://you:other@host/db", "postgresql://you@host/db")
    with pytest.raises(UserError, match="no variable 'NOT_THERE'"):
        name_database("env:NOT_THERE")


def test_a_study_does_not_decide_what_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder from somebody else: its database is not asked, and no file is made."""
    Study.create(tmp_path / "study", name="small", job={}, genes=()).close()
    file = tmp_path / "study" / "study.json"
    theirs = f"sqlite:///{tmp_path}/theirs.db"
    file.write_text(file.read_text().replace('"storage": null', f'"storage": "{theirs}"'))
    with pytest.raises(UserError, match=f"set {STORAGE} to its URL"):
        Study.open(tmp_path / "study", write=False)
    monkeypatch.setenv(STORAGE, theirs)
    with pytest.raises(UserError, match="holds no study called 'small'"):
        Study.open(tmp_path / "study", write=False)
    assert not (tmp_path / "theirs.db").exists()


def test_a_study_with_a_password_in_it_opens_for_its_owner(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = "postgresql://me:SECRET@old/db"
    with pytest.raises(UserError) as caught:
        named_database(old)
    assert "SECRET" not in str(caught.value)
    monkeypatch.setenv(STORAGE, "postgresql://me@old/db")
    assert named_database(old) == old
    assert "its password stands in a file" in caplog.text
    assert "SECRET" not in caplog.text
    # Another database gets no password that was meant for this one.
    monkeypatch.setenv(STORAGE, "postgresql://me@elsewhere/db")
    assert named_database(old) == "postgresql://me@elsewhere/db"


def test_a_new_study_holds_no_password(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/studies.db"
    url = f"{database}?password=SECRET"
    job = {"storage": url}
    with pytest.raises(UserError) as caught:  # SQLite has no passwords
        Study.create(tmp_path / "study", name="x", job=job, genes=(), storage_url=url)
    assert "SECRET" not in str(caught.value)
    job = {"storage": "env:MINE"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINE", database)
        study = Study.create(
            tmp_path / "study", name="x", job=job, genes=(), storage_url="env:MINE"
        )
        study.close()
    assert study.job["storage"] == database
