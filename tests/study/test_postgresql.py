"""A study in a PostgreSQL server that is started here, in a folder of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import create_engine

from evomerge.errors import InfrastructureError, UserError
from evomerge.study.connection import through_driver, wait_for_restarts
from evomerge.study.database import check_database
from evomerge.study.fetching import STUDIES, fetch_study
from evomerge.study.record import Study
from tests.study.elsewhere import ask, make
from tests.study.postgresql import Server, program

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    if program("initdb") is None:
        pytest.skip("no PostgreSQL is installed (apt-get install postgresql)")
    # Not in pytest's own folder, which only the user who runs it may enter.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder))
        made.start()
        yield made
        made.stop()


def test_a_restart_is_waited_out(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = {"storage": server.url}
    study = tmp_path / "study"
    with Study.create(study, name="a", job=job, genes=(), storage_url=server.url) as made:
        made.put("before", 1)
        server.stop()
        again = threading.Timer(2.0, server.start)
        again.start()
        made.put("after", 2)
        again.join()
        assert (made.get("before"), made.get("after")) == (1, 2)
    assert "does not answer; waiting" in caplog.text
    assert "answers again" in caplog.text
    written = caplog.text + "".join(path.read_text() for path in study.glob("*.json"))
    assert "SECRET" not in written


def test_deaths_in_the_middle_of_statements_lose_nothing(server: Server, tmp_path: Path) -> None:
    job = {"storage": server.url}
    over = threading.Event()

    def kill_and_start() -> None:
        for _ in range(3):
            time.sleep(0.2)
            server.stop()
            server.start()
        over.set()

    killer = threading.Thread(target=kill_and_start)
    written = 0
    with Study.create(
        tmp_path / "study", name="b", job=job, genes=(), storage_url=server.url
    ) as made:
        killer.start()
        while not over.is_set():
            made.put(f"key {written % 5}", written)
            assert made.get(f"key {written % 5}") == written
            written += 1
        killer.join()
        last = range(max(0, written - 5), written)
        assert [made.get(f"key {number % 5}") for number in last] == list(last)


def test_a_wrong_password_is_a_sentence_without_it(server: Server) -> None:
    with pytest.raises(UserError, match="password authentication failed") as caught:
        check_database(server.url.replace("SECRET", "WRONGSECRET"), "b")
    assert "SECRET" not in str(caught.value)


def test_unreachable_at_the_start(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    url = "postgresql://me:SECRET@127.0.0.1:1/db"
    with pytest.raises(UserError, match="cannot be opened") as caught:
        Study.create(tmp_path / "study", name="a", job={}, genes=(), storage_url=url)
    assert "SECRET" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_stays_away_is_a_sentence() -> None:
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    url = "postgresql+psycopg://me:SECRET@127.0.0.1:1/db"
    engine = create_engine(url)
    wait_for_restarts(engine, url, most_s=-1.0)
    for _ in range(2):
        with pytest.raises(InfrastructureError, match=r"refused.*`evomerge resume` goes") as caught:
            engine.connect()
        assert "SECRET" not in str(caught.value)


def test_of_two_drivers_with_artifacts_one_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is the server's, and its row is compared and set there."""
    monkeypatch.setenv(STUDIES, str(tmp_path / "copies"))
    files = f"file://{tmp_path}/shared"
    with make(tmp_path / "first", server.url, files, "shared") as first:
        ask(first)
        copy = fetch_study(f"{files}/shared")
        with pytest.raises(UserError, match="the study is being written by process"):
            Study.open(copy, write=True)
        server.stop()
        server.start()
        ask(first)
    with Study.open(copy, write=True) as second:
        assert len(second.candidates()) == 2


def test_an_interrupt_is_obeyed_while_connecting() -> None:
    """The server takes the connection and never answers."""
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db"
        program = f"from evomerge.study.database import *; check_database({url!r})"
        with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            connection.close()
        assert b"KeyboardInterrupt" in said
        assert time.monotonic() - began < 9  # an attempt lasts 10


def test_a_missing_driver_is_named() -> None:
    try:
        through_driver("postgresql://me@host/db")
    except UserError as problem:
        told = str(problem)
    else:
        pytest.skip("a driver is installed")
    assert told.endswith("`pip install 'evomerge[postgresql]'`")
