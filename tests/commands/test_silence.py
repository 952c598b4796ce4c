"""When it has to be said what is waited for."""

from __future__ import annotations

import threading

import pytest

from evomerge.commands.silence import Heartbeat, Silence


def test_after_five_seconds_then_every_thirty_while_the_same_is_waited_for() -> None:
    silence = Silence(100.0)
    times = [at for at in range(100, 240) if silence.is_over("Ray", at)]
    assert times == [105, 135, 165, 195, 225]


def test_something_new_is_said_after_five_seconds_again() -> None:
    silence = Silence(0.0)
    assert silence.is_over("Ray", 5)
    assert not silence.is_over("workers", 9)
    assert silence.is_over("workers", 10)
    assert not silence.is_over("workers", 39)


def test_whatever_is_said_ends_the_silence() -> None:
    silence = Silence(0.0)
    silence.end(4.0)
    assert not silence.is_over("Ray", 8.9)
    assert silence.is_over("Ray", 9.0)
    silence.end(10.0)
    assert not silence.is_over("Ray", 39.9)
    assert silence.is_over("Ray", 40.0)


@pytest.mark.slow
def test_a_heart_beats_until_it_is_stopped() -> None:
    beaten = threading.Event()
    before = threading.active_count()
    with Heartbeat(beaten.set):
        assert beaten.wait(60)
    assert threading.active_count() == before
