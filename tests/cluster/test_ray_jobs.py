"""An address that is no Ray dashboard is told in a sentence; what answers never is given up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evomerge.cluster.jobs import connect
from evomerge.cluster.ray_jobs import FIRST_S
from evomerge.cluster.reach import REACH_S
from evomerge.errors import UserError

pytestmark = pytest.mark.slow  # Ray is imported

VERSION = json.dumps({"version": "4", "ray_version": "2.9.1", "ray_commit": "", "session_name": ""})


@contextmanager
def server(status: int, body: str, delay_s: float = 0.0) -> Iterator[str]:
    """Answers every question alike."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        """One answer."""

        def do_GET(self) -> None:
            ended.wait(delay_s)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_address[1]}"
        finally:
            ended.set()
            serving.shutdown()
            thread.join()


def test_a_dashboard_says_its_version() -> None:
    with server(200, VERSION) as address:
        jobs = connect(f"{address}/")
        assert jobs.ray == "2.9.1"
        assert jobs.address == address


def test_the_address_that_is_given_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:2")
    with server(200, VERSION) as address:
        assert connect(address.removeprefix("http://")).address == address


@pytest.mark.parametrize(
    ("status", "body"), [(404, "none"), (200, "<html>"), (200, "{}"), (503, ""), (200, "[1]")]
)
def test_another_server_is_no_dashboard(status: int, body: str) -> None:
    with server(status, body) as address, pytest.raises(UserError) as caught:
        connect(address)
    assert str(caught.value).startswith(address)
    assert "Ray" in str(caught.value)


def test_a_server_that_never_answers_is_given_up() -> None:
    """It would answer in ten minutes; 15 seconds are promised for all."""
    assert REACH_S + FIRST_S[1] <= 15
    with (
        server(200, VERSION, delay_s=600) as address,
        pytest.raises(UserError, match="does not answer as a Ray dashboard does"),
    ):
        connect(address)


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(UserError, match=f"--address {address}: nobody answers there"):
            connect(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "http://", "ray://127.0.0.1:10001", "json://127.0.0.1:1", "http://h:port"),
        *("http://h:99999999", "http://user:secret@h:8265", "http://h:8265/jobs", "file:///etc"),
    ],
)
def test_what_is_no_address_of_a_dashboard(address: str) -> None:
    """Ray's own client would import a module that an address names."""
    with pytest.raises(UserError, match="the address of a Ray dashboard is wanted") as caught:
        connect(address)
    assert "secret" not in str(caught.value)
