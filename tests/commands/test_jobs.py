"""The commands about searches on a cluster, asked of a server that answers as Ray's does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.place import Ended, run

pytestmark = pytest.mark.slow  # Ray is imported

EVIL = "\x1b[2J[red]best 0.5[/red]"


def entry(id_: str, study: str, status: str, message: str, **known: Any) -> dict[str, Any]:
    return {
        "type": "SUBMISSION",
        "submission_id": id_,
        "status": status,
        "entrypoint": "python",
        "message": message,
        "start_time": 1_790_000_000_000,
        "end_time": None,
        "metadata": {"evomerge.study": study, "evomerge.owner": "ada"} if study else {},
        **known,
    }


JOBS = [
    entry("a-1", "a", "SUCCEEDED", "over", end_time=1_790_000_060_000),
    entry("raysubmit_x", "", "RUNNING", "somebody else's"),
    entry("a-2", "a", "RUNNING", EVIL, start_time=1_790_000_100_000),
    entry("b-1", "b", "RUNNING", "Job is currently running.", start_time=1_790_000_200_000),
]
ANSWERS: dict[str, Any] = {
    "/api/version": {"version": "4", "ray_version": version("ray")},
    "/api/jobs/": JOBS,
    "/api/jobs/a-2": JOBS[2],
    "/api/jobs/a-2/logs": {"logs": f"one\n{EVIL}\n"},
    "/api/jobs/b-1/logs": {"logs": "one\nevaluating #3 (0:10)\n\n"},
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        """Answers what is known."""

        def do_GET(self) -> None:
            answer = ANSWERS.get(self.path)
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def evomerge(tmp_path: Path, *arguments: str) -> Ended:
    ended = run(tmp_path, *arguments)
    assert "\x1b[2J" not in ended.stdout, "text of a job was obeyed"
    return ended


def test_a_list_has_searches_alone_the_oldest_first(address: str, tmp_path: Path) -> None:
    said = evomerge(tmp_path, "list", "--address", address)
    head, *rows = said.stdout.splitlines()
    assert head.split() == ["ID", "STATE", "OWNER", "BEGAN", "SAYS"]
    assert [row.split()[0] for row in rows] == ["a-1", "a-2", "b-1"]
    assert "[red]best 0.5[/red]" in rows[1]
    running = evomerge(tmp_path, "list", "--running", "--json", "--address", address)
    assert [job["id"] for job in json.loads(running.stdout)["jobs"]] == ["a-2", "b-1"]


def test_a_status_is_of_the_latest_of_a_name(address: str, tmp_path: Path) -> None:
    said = evomerge(tmp_path, "status", "a", "--address", address)
    assert "id         a-2" in said.stdout
    assert f"{address}/#/jobs/a-2" in said.stdout
    assert "None" not in said.stdout
    # What says nothing of itself is known by its last line.
    other = evomerge(tmp_path, "status", "b", "--json", "--address", address)
    assert json.loads(other.stdout)["message"] == "evaluating #3 (0:10)"


def test_logs_are_shown_and_not_obeyed(address: str, tmp_path: Path) -> None:
    assert evomerge(tmp_path, "logs", "a", "--address", address).stdout.startswith("one\n")


@pytest.mark.filterwarnings("ignore:ssl=None is deprecated")  # Ray's own call of aiohttp
def test_a_log_that_cannot_be_followed_is_told_in_a_sentence(address: str, tmp_path: Path) -> None:
    """This server has no socket for it, as a proxy may have none."""
    ended = evomerge(tmp_path, "logs", "a", "--follow", "--address", address)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"evomerge: {address}: it does not answer as a Ray dashboard")


def test_stopping_what_is_over_says_how_it_ended(address: str, tmp_path: Path) -> None:
    said = evomerge(tmp_path, "stop", "a-1", "--address", address)
    assert said.stdout == "a-1: succeeded\n"


@pytest.mark.parametrize("command", ["list", "status x", "logs x", "stop x", "fetch x"])
def test_where_nobody_listens_each_says_so(command: str, tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        ended = run(tmp_path, *command.split(), "--address", address)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"evomerge: --address {address}: nobody answers there")
    assert len(ended.stderr.splitlines()) == 1
