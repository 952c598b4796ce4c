"""Signals that ask a program to end: where the first is raised, and what the others do."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from evomerge.interruption import (
    ALL,
    DRAIN,
    Interrupted,
    allowed,
    check,
    deferred,
    exit_code,
    heeded,
    renew,
)

PATIENCE_S = 600
"""How long a test sleeps that is interrupted."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What a test finds it leaves; and it finds none turned off, as in the background."""
    outside = {number: signal.getsignal(number) for number in ALL}
    for number in ALL:
        own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, own)
    before = [signal.getsignal(number) for number in ALL]
    yield
    after = [signal.getsignal(number) for number in ALL]
    for number, handler in outside.items():
        signal.signal(number, handler)
    assert after == before


@pytest.mark.parametrize("number", ALL)
def test_each_signal_interrupts_at_once_and_has_its_exit_code(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name), heeded():
        signal.raise_signal(number)
    assert exit_code() == 128 + number


def test_a_deferred_one_waits_for_a_place_that_takes_it() -> None:
    done = []
    with heeded(), deferred():
        signal.raise_signal(signal.SIGTERM)
        done.append("written")
        with pytest.raises(Interrupted), allowed():
            done.append("never")
        check()  # it has been raised
    assert done == ["written"]


def test_a_deferred_one_comes_at_the_end_at_the_latest() -> None:
    done = []

    def work() -> None:
        with deferred(), deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("written")

    with pytest.raises(Interrupted), heeded():
        work()
    assert done == ["written"]


def test_the_second_waits_for_nothing() -> None:
    done = []

    def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        done.append("written")
        signal.raise_signal(signal.SIGHUP)
        done.append("never")

    with pytest.raises(Interrupted), heeded(), deferred():
        work()
    assert done == ["written"]
    assert exit_code() == 128 + signal.SIGHUP


def test_where_it_may_come_it_comes_at_once() -> None:
    with pytest.raises(Interrupted), heeded(), deferred(), allowed():
        signal.raise_signal(signal.SIGTERM)
    with heeded():
        check()  # nothing is left of it


@pytest.mark.process
def test_the_third_ends_the_process_whatever_it_does() -> None:
    code = (
        "import signal\n"
        "from evomerge.interruption import heeded\n"
        "with heeded():\n"
        "    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "        try:\n"
        "            signal.raise_signal(number)\n"
        "        except KeyboardInterrupt:\n"
        "            print('swallowed', flush=True)\n"
        "print('never')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (128 + signal.SIGHUP, "swallowed\n" * 2)


def test_a_signal_that_was_turned_off_stays_off() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with heeded():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_program_that_has_a_use_of_its_own_for_ctrl_c_keeps_it() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with heeded():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_what_a_library_has_taken_is_heeded_again() -> None:
    def work() -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray does
        renew()
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), heeded():
        work()


def test_with_a_limit_the_second_comes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRAIN, "0.05")
    done = []

    def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(PATIENCE_S)
        done.append("never")

    with pytest.raises(Interrupted), heeded(), deferred():
        work()
    assert done == []
    assert exit_code() == 128 + signal.SIGTERM


def test_without_a_limit_only_the_first_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no number is no limit."""
    monkeypatch.setenv(DRAIN, "soon")
    with pytest.raises(Interrupted), heeded(), deferred():
        signal.raise_signal(signal.SIGTERM)
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
