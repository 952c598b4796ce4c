"""A socket that nobody listens to any more says that its process has died."""

from __future__ import annotations

import socket
from pathlib import Path

from evomerge.cluster.ray_pulse import RayPulse


def listening(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
    server = socket.socket(family)
    server.bind(address)
    server.listen()
    return server


def test_a_raylet_that_ends_is_missed(tmp_path: Path) -> None:
    raylet = listening(socket.AF_UNIX, str(tmp_path / "raylet"))
    pulse = RayPulse(str(tmp_path / "raylet"), None)
    assert pulse.lost() is None
    raylet.close()
    assert pulse.lost() == "this machine: its raylet has died"
    (tmp_path / "raylet").unlink()
    assert pulse.lost() == "this machine: its raylet has died"


def test_a_head_of_ones_own_that_ends_is_missed(tmp_path: Path) -> None:
    raylet = listening(socket.AF_UNIX, str(tmp_path / "raylet"))
    head = listening(socket.AF_INET, ("127.0.0.1", 0))
    pulse = RayPulse(str(tmp_path / "raylet"), f"127.0.0.1:{head.getsockname()[1]}")
    assert pulse.lost() is None
    head.close()
    assert pulse.lost() == "its head, which ran on this machine"
    raylet.close()


def test_one_that_is_busy_lives(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raylet:
        raylet.bind(str(tmp_path / "raylet"))
        raylet.listen(0)
        pulse = RayPulse(str(tmp_path / "raylet"), None)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(tmp_path / "raylet"))
            assert pulse.lost() is None
