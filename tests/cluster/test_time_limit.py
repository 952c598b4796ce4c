"""What takes too long in this very process is interrupted, or ends with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from evomerge.cluster.time_limit import TimeIsUp, time_limit

FAR_S = 3600.0


def test_what_takes_too_long_is_interrupted() -> None:
    with pytest.raises(TimeIsUp), time_limit(0.01, FAR_S, str):
        time.sleep(FAR_S)


def test_what_swallows_exceptions_is_interrupted_too() -> None:
    def work() -> None:
        with suppress(Exception):
            time.sleep(FAR_S)

    with pytest.raises(TimeIsUp), time_limit(0.01, FAR_S, str):
        work()


def test_what_ends_in_time_hears_nothing_and_leaves_nothing() -> None:
    before = signal.getsignal(signal.SIGURG)
    with time_limit(FAR_S, FAR_S, str):
        pass
    assert signal.getsignal(signal.SIGURG) == before


@pytest.mark.process
def test_what_cannot_be_interrupted_ends_with_the_process() -> None:
    """`PyDLL` keeps Python's lock while it sleeps, so that no signal is heeded."""
    code = (
        "import ctypes\n"
        "from evomerge.cluster.time_limit import time_limit\n"
        "with time_limit(0.01, 0.1, str):\n"
        f"    ctypes.PyDLL(None).sleep({FAR_S:.0f})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "in <module>" in ended.stderr, "it says where"
