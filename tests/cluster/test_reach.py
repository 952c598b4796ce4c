"""Nobody waits for an address that does not answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from evomerge.cluster.reach import reach

ASKING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
from evomerge.cluster.reach import reach
try:
    print("asking", flush=True)
    reach("127.0.0.1", int(sys.argv[1]), within_s=3000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that lets nobody in: its queue is full, and the kernel drops whoever comes."""
    with ExitStack() as held:
        listening = held.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield int(port)


def test_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach("127.0.0.1", server.getsockname()[1])
        came, _ = server.accept()
        assert came.recv(1) == b"", "it said something"
        came.close()


def test_refused() -> None:
    with socket.socket() as bound:  # so that nobody else has the port, and never listening
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            reach("127.0.0.1", bound.getsockname()[1])


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "\ud800"])
def test_no_such_host(host: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - in the words of the system, or that time is over
        reach(host, 8265, within_s=5)


def test_a_port_beyond_all_ports() -> None:
    with pytest.raises(OSError, match="there is no port 99999"):
        reach("127.0.0.1", 99999)


def test_silence_has_an_end(silent: int) -> None:
    with pytest.raises(OSError, match=r"no answer|timed out"):
        reach("127.0.0.1", silent, within_s=0.2)


@pytest.mark.process
def test_ctrl_c_ends_the_silence(silent: int) -> None:
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKING, str(silent)], stdout=subprocess.PIPE, text=True
    )
    assert asking.stdout is not None
    assert asking.stdout.readline() == "asking\n"
    os.kill(asking.pid, signal.SIGINT)
    assert asking.stdout.readline() == "interrupted\n"
    assert asking.wait(60) == 0
    asking.stdout.close()
