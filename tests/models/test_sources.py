"""Models of a hub: fetched once for each node, by real processes from a slow hub of our own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100_000}
COMMIT = "0" * 39 + "1"
SLOW_S = 0.3
"""Beginning to send takes so long: whoever comes at the same time meets a download under way."""

FETCH = (
    "import sys\n"
    "from evomerge.models.sources import model_folder\n"
    "from evomerge.recipe.source import Source\n"
    "folder = model_folder(Source(model='me/tiny'))\n"
    "print((folder / 'model.safetensors').stat().st_size)"
)


class Hub(ThreadingHTTPServer):
    """One repository, as huggingface.co answers for it; it counts what is downloaded."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        body = FILES.get(name)
        if body is None:
            body = json.dumps(_tree() if "/tree/" in self.path else _about()).encode()
        elif with_body:
            self.server.sent[name] += 1
            time.sleep(SLOW_S)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _about() -> dict[str, Any]:
    siblings = [{"rfilename": name} for name in FILES]
    return {"id": "me/tiny", "sha": COMMIT, "siblings": siblings}


def _tree() -> list[dict[str, Any]]:
    return [
        {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
        for name, body in FILES.items()
    ]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as made:
        serving = threading.Thread(target=made.serve_forever)
        serving.start()
        yield made
        made.shutdown()
        serving.join()


@pytest.mark.process
def test_the_workers_of_a_node_download_a_model_once(hub: Hub, tmp_path: Path) -> None:
    """Two nodes with folders of their own, of two workers each that start at the same time."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH],
            env=os.environ
            | {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / node)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for node in ("a", "a", "b", "b")
    ]
    said = [worker.communicate()[0].strip() for worker in started]
    assert said == [str(len(FILES["model.safetensors"]))] * 4
    assert hub.sent == dict.fromkeys(FILES, 2)
